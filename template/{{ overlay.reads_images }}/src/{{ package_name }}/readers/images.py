# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Finds, checks and reads image files, by the same rules in every image task.

- Every format that Pillow can decode is read. Other files are skipped, and a note counts them.
- Images are upright: the orientation in their EXIF data is applied.
- Transparency is composited onto white.
- Of 16 bits per channel the upper 8 are kept. Floating-point pixels are an error, since their
  range is unknown.
- The first frame is read of a file with several (GIF, TIFF, MPO), and a note counts these files.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import StubImageFile

from ..harness.errors import ErrorCollector, UserError
from ..harness.messages import is_rank_zero, note
from ..harness.splits import SPLITS

# Pillow identifies MPEG without decoding it, and runs Ghostscript to decode EPS.
FORMATS_LEFT_OUT = ("EPS", "MPEG")
SIDEWAYS_ORIENTATIONS = (5, 6, 7, 8)  # of EXIF
MAX_16_BIT = 65535
NAMES_IN_NOTE = 3
IMAGES_QUEUED = 4096  # bounds the memory that waiting jobs take

ImageMode = Literal["RGB", "L"]


# ---- Find ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FoundFiles:
    """The files in a folder, in the order of their paths."""

    images: list[Path]
    skipped: list[Path]


def list_images(root: Path) -> list[Path]:
    """The images in a folder and below, in the order of their paths; of a file, that file.

    A note names what is skipped. See `find_images`.
    """
    found = find_images(root)
    note_skipped(root, found.skipped)
    return found.images


def list_predict_images(predict_path: str | None, errors: ErrorCollector) -> list[Path]:
    """The images that `data.predict_path` names; having none is added to the errors."""
    if not predict_path:
        return []
    images = list_images(Path(predict_path))
    if not images:
        errors.append(
            f"data.predict_path={predict_path}: no image found there; "
            "give an image file or a folder that contains images"
        )
    return images


def find_images(root: Path) -> FoundFiles:
    """Like `list_images`, but without the note.

    Whatever is named like an image counts as one, even a folder or a broken link, so that reading
    it reports the error. Hidden files and folders are left out. Links to folders are followed,
    except to a folder that contains the link.
    """
    if root.is_file():
        return FoundFiles(images=[root], skipped=[])
    found = FoundFiles(images=[], skipped=[])
    if root.is_dir():
        add_files(root, found, parents=frozenset())
    return found


def add_files(folder: Path, found: FoundFiles, parents: frozenset[Path]) -> None:
    """Add the files of a folder and of the folders in it, which `parents` contain."""
    real_path = folder.resolve()
    if real_path in parents:
        return
    with reading(folder):
        entries = sorted(folder.iterdir())
    for path in entries:
        if path.name.startswith("."):
            continue
        if is_named_like_image(path):
            found.images.append(path)
        elif path.is_dir():
            add_files(path, found, parents | {real_path})
        else:
            found.skipped.append(path)


def note_skipped(root: Path, skipped: Sequence[Path]) -> None:
    """Say how many files in `root` were skipped, and name a few."""
    if skipped:
        files = describe_files(skipped)
        note(f"skipped {files} in {root}: not in a readable image format")


def describe_files(paths: Sequence[Path]) -> str:
    """Their number and a few names: `5 files (a.txt, b.txt, c.txt, ...)`."""
    noun = "file" if len(paths) == 1 else "files"
    names = [path.name for path in paths[:NAMES_IN_NOTE]]
    if len(paths) > NAMES_IN_NOTE:
        names.append("...")
    return f"{len(paths)} {noun} ({', '.join(names)})"


def is_named_like_image(path: Path) -> bool:
    return path.suffix.lower() in image_suffixes()


@cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of the formats that Pillow can decode, in lower case, such as `.png`."""
    formats = (*image_formats(), "MPO")  # MPO is JPEG with several frames, read by JPEG's plugin
    suffixes = set()
    for suffix, name in Image.registered_extensions().items():
        if name in formats:
            suffixes.add(suffix)
    return frozenset(suffixes)


@cache
def image_formats() -> tuple[str, ...]:
    """The names of the formats that Pillow can decode, in the order in which it tries them."""
    Image.preinit()  # the most common formats come first
    Image.init()
    formats = []
    for name in Image.ID:
        factory, _ = Image.OPEN[name]
        is_stub = isinstance(factory, type) and issubclass(factory, StubImageFile)
        if not is_stub and name not in FORMATS_LEFT_OUT:
            formats.append(name)
    return tuple(formats)


def find_splits(root: Path) -> list[str]:
    """Those of `train`, `val` and `test` that are folders in `root`; none without `train`."""
    if not (root / "train").is_dir():
        return []
    splits = []
    for split in SPLITS:
        if (root / split).is_dir():
            splits.append(split)
    return splits


# ---- Check ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image file that can be read.

    Args:
        content: a hash of the file, equal for copies of it.
        width: in pixels, of the upright image.
        height: in pixels, of the upright image.
        has_more_frames: whether frames follow the one that is read.
    """

    content: str
    width: int
    height: int
    has_more_frames: bool


def check_images(
    paths: Sequence[Path], errors: ErrorCollector, origins: Mapping[Path, str] | None = None
) -> dict[Path, ImageInfo]:
    """Read every image once, on global rank 0, so that all errors show before training.

    Args:
        paths: the image files.
        errors: receives a line for each image that cannot be read.
        origins: the place in the data that names an image, to start its line with.

    Returns:
        The images that can be read, by path. Empty on the other ranks, whose loaders would raise a
        `UserError` for an image that only they cannot read.
    """
    if not is_rank_zero():
        return {}
    checked = {}
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter's lock
        for start in range(0, len(paths), IMAGES_QUEUED):
            queued = paths[start : start + IMAGES_QUEUED]
            jobs = [pool.submit(inspect_image, path) for path in queued]
            for path, job in zip(queued, jobs):
                try:
                    checked[path] = job.result()
                except UserError as error:
                    line = str(error)
                    if origins and path in origins:
                        line = f"{origins[path]}: {line}"
                    errors.append(line)
    note_more_frames(checked)
    return checked


def inspect_image(path: Path) -> ImageInfo:
    """Read an image file whole.

    Raises:
        UserError: if it cannot be read.
    """
    with reading(path):
        data = path.read_bytes()
        with open_image(BytesIO(data)) as image:
            width, height = upright_size(image)
            # A JPEG is decoded at an eighth of its size: with the same errors, five times as fast.
            image.draft("RGB", (1, 1))
            convert_image(image)
            has_more_frames = getattr(image, "is_animated", False)
    content = blake2b(data, digest_size=16).hexdigest()
    return ImageInfo(content, width, height, has_more_frames)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an image that is not decoded yet."""
    width, height = image.size
    if image.format == "TIFF":  # Pillow swaps them already
        return width, height
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    if orientation in SIDEWAYS_ORIENTATIONS:
        return height, width
    return width, height


def note_more_frames(checked: Mapping[Path, ImageInfo]) -> None:
    """Say how many files have several frames, and name a few."""
    paths = []
    for path, info in checked.items():
        if info.has_more_frames:
            paths.append(path)
    if paths:
        files = describe_files(paths)
        note(f"only the first frame is used of {files}")


# ---- Read ----------------------------------------------------------------------------------------


def read_image(path: Path | str, mode: ImageMode = "RGB") -> Image.Image:
    """The image in a file, upright, with 8 bits per channel.

    Raises:
        UserError: if it cannot be read.
    """
    with reading(path), open_image(path) as image:
        return convert_image(image, mode)


def open_image(file: Path | str | BinaryIO) -> Image.Image:
    """The opened file, still to be decoded."""
    return Image.open(file, formats=image_formats())


def convert_image(image: Image.Image, mode: ImageMode = "RGB") -> Image.Image:
    """A copy of an image that Pillow opened: upright, 8 bits per channel, without transparency.

    Raises:
        ValueError: if the range of its pixels is unknown.
        OSError: and other errors, if it cannot be decoded. See `reading`.
    """
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        upright = keep_upper_bits(upright)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return upright.convert(mode)


def keep_upper_bits(image: Image.Image) -> Image.Image:
    """Greyscale with 8 of 16 bits, which are those that Pillow keeps of a 16-bit RGB image.

    Raises:
        ValueError: if the pixels are floating-point or beyond 16 bits.
    """
    if image.mode == "F":
        raise ValueError("the range of floating-point pixels is unknown")
    pixels = np.array(image)  # (H, W)
    lowest = pixels.min()
    highest = pixels.max()
    if lowest < 0 or highest > MAX_16_BIT:
        raise ValueError(f"pixels from {lowest} to {highest} exceed 16 bits")
    transparent_value = image.info.get("transparency")
    if transparent_value is not None:
        pixels[pixels == transparent_value] = MAX_16_BIT  # white, as behind any transparency
    upper_bits = pixels >> 8
    return Image.fromarray(upper_bits.astype(np.uint8))


@contextmanager
def reading(source: object) -> Iterator[None]:
    """Turn whatever is raised while an image is read into a `UserError` that names its source."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Pillow's plugins raise many kinds
        reason = explain(error)
        raise UserError(f"{source} cannot be read ({reason}); replace or remove it") from error


def explain(error: Exception) -> str:
    """The reason without the path, which is named already."""
    if isinstance(error, UnidentifiedImageError):
        return "not in an image format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
