"""What an answer adds to a project: the rows to extend when a choice is added to copier.yml."""

# The overlays that each task renders, its own first.
TASK_OVERLAYS = {
    "image_classification": (
        "image_classification",
        "reads_images",
        "reads_class_folders",
        "augments_images",
        "reads_hub",
    ),
    "image_segmentation": (
        "image_segmentation",
        "reads_images",
        "augments_images",
        "composes_scenes",
    ),
    "object_detection": (
        "object_detection",
        "reads_images",
        "augments_images",
        "composes_scenes",
    ),
    "text_classification": ("text_classification", "reads_tables", "reads_text", "reads_hub"),
    "language_modeling": ("language_modeling", "reads_text", "reads_hub"),
    "tabular": ("tabular", "reads_tables"),
    "time_series_forecasting": ("time_series_forecasting", "reads_tables"),
    "image_generation": (
        "image_generation",
        "reads_images",
        "reads_class_folders",
        "generates_images",
    ),
    "adversarial": (
        "adversarial",
        "reads_images",
        "reads_class_folders",
        "generates_images",
    ),
    "custom": ("custom",),
}
# The file that each logger writes, in the project's folder; each logger has an overlay of its name.
LOGGER_FILES = {
    "csv": "runs/{run}/metrics.csv",
    "tensorboard": "runs/{run}/events.out.*",
    "wandb": "runs/{run}/wandb/offline-run-*/*.wandb",
    "mlflow": "runs/mlflow.db",
}
# Loggers that add no seconds to the start and end of a run.
QUICK_LOGGERS = ("csv", "tensorboard")
# The overlay of any other answer that has one.
OTHER_OVERLAYS = {
    ("strategy", "fsdp2"): "fsdp2",
    ("ci", "github"): "github",
    ("ci", "gitlab"): "gitlab",
    ("release", "pypi"): "publishes",
    ("container", "docker"): "docker",
    ("license", "MIT"): "mit",
    ("license", "Apache-2.0"): "apache",
    ("license", "BSD-3-Clause"): "bsd",
}


def overlays(answers: dict[str, object]) -> set[str]:
    """The overlays that these answers choose."""
    chosen = {*TASK_OVERLAYS[str(answers["task"])]}
    chosen.update(answers["logger"])  # type: ignore[arg-type]
    for question, answer in answers.items():
        overlay = OTHER_OVERLAYS.get((question, str(answer)))
        if overlay:
            chosen.add(overlay)
    return chosen
