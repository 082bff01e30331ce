# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Finds labelled images in a folder that has a subfolder for each class."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..harness.errors import ErrorCollector, UserError
from .images import find_splits, is_named_like_image, list_images


@dataclass(frozen=True)
class LabelledImages:
    """Images, and the index of the class of each.

    Args:
        images: a sequence of paths, of images in memory, or of rows of a Hub dataset.
        labels: as many as images.
    """

    images: Any
    labels: list[int]


@dataclass(frozen=True)
class LabelledSplits:
    """Labelled images by split, and the names of the classes that the labels index."""

    splits: dict[str, LabelledImages]
    class_names: list[str]


def read_class_folders(
    root: Path,
    errors: ErrorCollector,
    classes_required: bool,
    sort_key: Callable[[Path], Any] | None = None,
) -> LabelledSplits:
    """Find `CLASS/*.png` or `{train,val,test}/CLASS/*.png`; the images are not opened.

    Args:
        root: the folder `data.path`. Without a folder `train`, every image is in the split `train`.
        errors: receives a line for each image in the wrong place and each folder without images.
        classes_required: True: there are at least two classes, with images in every split.
            False: images may also be in no class folder at all (all labels are 0, and there are no
            class names), and `val` and `test` need not have every class.
        sort_key: of a path, to order the images, on which random splits depend; by default they
            come folder by folder.

    Raises:
        UserError: with all errors so far, if there is nothing to train on.
    """
    layout = find_layout(root)
    images = list_images(root)
    if sort_key is not None:
        images.sort(key=sort_key)

    splits = {}
    for split in layout.splits:
        splits[split] = LabelledImages(images=[], labels=[])
    for path in images:
        with errors:
            split, label = layout.locate(path)
            splits[split].images.append(path)
            splits[split].labels.append(label)

    folders = LabelledSplits(splits, class_names=list(layout.labels))
    check_train(root, folders, errors, classes_required)
    for folder in find_empty_folders(layout, splits, classes_required):
        errors.append(f"{folder}: no image found there; add images or remove the folder")
    return folders


@dataclass(frozen=True)
class FolderLayout:
    """Where the images of each split and class are expected.

    Args:
        root: the folder `data.path`.
        has_split_folders: whether `train` and others are folders in it.
        splits: the names of the splits.
        labels: the index of each class, by its name, which is that of a folder of `train`.
    """

    root: Path
    has_split_folders: bool
    splits: list[str]
    labels: dict[str, int]

    def split_folder(self, split: str) -> Path:
        return self.root / split if self.has_split_folders else self.root

    def locate(self, path: Path) -> tuple[str, int]:
        """The split and the label of an image.

        Raises:
            UserError: if it is in no class, an unknown class or an unknown split.
        """
        split = "train"
        parts = path.relative_to(self.root).parts
        if self.has_split_folders:
            split, *parts = parts
        if split not in self.splits:
            raise UserError(
                f"{self.root / split}: beside train only val and test may contain images; "
                "move or remove it"
            )
        if len(parts) > 1:
            class_name = parts[0]
            if class_name not in self.labels:
                raise UserError(
                    f"{self.split_folder(split) / class_name}: train has no class of this name; "
                    "add it there, or move or remove this folder"
                )
            return split, self.labels[class_name]
        if self.labels:
            raise UserError(f"{path}: image outside the class folders; move it into one of them")
        return split, 0


def find_layout(root: Path) -> FolderLayout:
    given = find_splits(root)
    train_folder = root / "train" if given else root
    return FolderLayout(
        root=root,
        has_split_folders=bool(given),
        splits=given or ["train"],
        labels={name: label for label, name in enumerate(list_class_names(train_folder))},
    )


def list_class_names(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    names = []
    for path in folder.glob("[!.]*/"):
        if path.is_dir() and not is_named_like_image(path):
            names.append(path.name)
    return sorted(names)


def check_train(
    root: Path, folders: LabelledSplits, errors: ErrorCollector, classes_required: bool
) -> None:
    """Raise a `UserError` with all errors if there is no image, or too few classes."""
    if classes_required and len(folders.class_names) < 2:
        errors.append(
            f"data.path={root}: needs at least two class folders, as in CLASS/*.png or "
            f"train/CLASS/*.png, got {folders.class_names}; add images in this form"
        )
        errors.raise_if_any()
    if not folders.class_names and not folders.splits["train"].images:
        errors.append(
            f"data.path={root}: no image found there; give a folder with *.png, CLASS/*.png, "
            "train/*.png or train/CLASS/*.png"
        )
        errors.raise_if_any()


def find_empty_folders(
    layout: FolderLayout, splits: dict[str, LabelledImages], classes_required: bool
) -> Iterator[Path]:
    """The folders that should have images and have none."""
    for split, samples in splits.items():
        folder = layout.split_folder(split)
        used_labels = set(samples.labels)
        if classes_required or split == "train":
            for name, label in layout.labels.items():
                if label not in used_labels:
                    yield folder / name
        elif not samples.images:
            yield folder
