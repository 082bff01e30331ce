# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Rules for the classes of labelled texts, across rows and splits."""

from ..harness.errors import ErrorCollector
from .labelled_texts import Sample, Splits
from .table_checks import first_lines


def check_classes(splits: Splits, errors: ErrorCollector) -> None:
    """Report a single class, texts with two labels, and classes that `train` lacks."""
    train = splits.get("train", [])
    classes = {sample.label for sample in train}
    if len(classes) == 1:
        [only_class] = classes
        errors.append(
            f"train: there must be two classes or more, not {only_class!r} alone;"
            " add texts of another, or set another data.label_column"
        )
    report_conflicts(splits, errors)
    if classes:
        report_unknown_classes(splits, classes, errors)


def report_conflicts(splits: Splits, errors: ErrorCollector) -> None:
    """Report texts that occur with two labels."""
    first_with_text: dict[str, Sample] = {}
    lines = []
    for samples in splits.values():
        for sample in samples:
            first = first_with_text.setdefault(sample.text, sample)
            if first.label != sample.label:
                places = f"{first.place} and {sample.place}"
                labels = f"{first.label!r} and {sample.label!r}"
                lines.append(
                    f"{places}: one text has the labels {labels}; correct one or remove it"
                )
    errors.extend(first_lines(lines, "data", "texts"))


def report_unknown_classes(splits: Splits, classes: set[str], errors: ErrorCollector) -> None:
    """Report each class that `train` lacks, at its first text."""
    reported = set()
    for split, samples in splits.items():
        for place, _, label, _ in samples:
            if label in classes or label in reported:
                continue
            reported.add(label)
            errors.append(
                f"{place}: {split} has class {label!r}, which train lacks;"
                " add texts of it there, or correct the label"
            )
