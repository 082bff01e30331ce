"""The scores that the READMEs promise, reached by the commands that they show."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from projects import Project
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = [pytest.mark.slow, pytest.mark.serial]


def trained(render: Any, folder: Path, task: str, *args: str) -> tuple[Project, float]:
    """A project whose default run is done and tested, and the seconds that `fit` took, start-up included."""
    project = Project(render(folder / "project", task=task, project_name=f"Score {task} {len(args)}"))
    start = time.perf_counter()
    ended = project.process("fit", "--run", "score", *args)
    seconds = time.perf_counter() - start
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert project.process("test", "--run", "score").returncode == 0
    return project, seconds


def test_language_modeling(render: Any, tmp_path: Path) -> None:
    """Below 3.0 bits per byte on files of the standard library that were held out, within 3 minutes."""
    project, seconds = trained(render, tmp_path, "language_modeling")
    bits = project.result("score")["test/bits_per_byte"]
    print(f"language_modeling: {bits:.3f} bits per byte, {seconds:.0f} s")
    assert bits < 3.0
    assert seconds < 180


def linear_inputs(data: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The rows that the project trains and tests on, as scikit-learn takes them."""
    target = data.hparams.target
    return {
        name: (rows.drop(columns=target).to_numpy(float), rows[target].to_numpy()) for name, rows in data.rows.items()
    }


def test_tabular_classification(render: Any, tmp_path: Path) -> None:
    """On breast cancer no worse than logistic regression with standardised inputs, on the same split."""
    project, seconds = trained(render, tmp_path, "tabular")
    splits = linear_inputs(project.imported("data").DataModule())
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(*splits["train"])
    inputs, classes = splits["test"]
    ours, accuracy = project.result("score"), accuracy_score(classes, linear.predict(inputs))
    auroc = roc_auc_score(classes == linear.classes_[1], linear.predict_proba(inputs)[:, 1])
    print(
        f"tabular: accuracy {ours['test/accuracy']:.4f}, logistic {accuracy:.4f}; AUROC {ours['test/auroc']:.4f}, "
        f"logistic {auroc:.4f}; {seconds:.0f} s"
    )
    assert ours["test/accuracy"] >= accuracy - 1e-6
    assert ours["test/auroc"] >= auroc - 1e-6


def test_tabular_regression(render: Any, tmp_path: Path) -> None:
    """On diabetes no worse than linear regression, on the same split."""
    project, seconds = trained(render, tmp_path, "tabular", "-c", "experiment/diabetes")
    splits = linear_inputs(project.imported("data").DataModule(dataset="diabetes"))
    linear = LinearRegression().fit(*splits["train"])
    r2 = r2_score(splits["test"][1], linear.predict(splits["test"][0]))
    ours = project.result("score")
    print(f"tabular: R2 {ours['test/r2']:.4f}, linear {r2:.4f}; {seconds:.0f} s")
    assert ours["test/r2"] >= r2 - 1e-6


def test_experiment_finetunes_without_its_weights(render: Any, tmp_path: Path) -> None:
    """The worked example for images trains EfficientNet-B0 from a folder, offline, weights left out."""
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            image = Image.blend(
                Image.effect_noise((96, 80), 40).convert("RGB"), Image.new("RGB", (96, 80), colour), 0.5
            )
            image.save(tmp_path / "images" / name / f"{i}.png")
    project = Project(render(tmp_path / "project", project_name="Fine"))
    args = ["-c", "experiment/finetune", "--data.path", str(tmp_path / "images"), "--model.pretrained=false"]
    args += ["--trainer.max_epochs=1", "--data.num_workers=0"]
    ended = project.process("fit", "--run", "fine", *args)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert project.process("test").returncode == 0
    config = (project.folder / "runs" / "fine" / "config.yaml").read_text()
    assert re.search(r"backbone: efficientnet_b0", config)
