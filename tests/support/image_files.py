"""Image files of every kind that a reader must treat alike, with the pixels it should find."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

SIDE = 32
RED = (255, 0, 0)
BLUE = (0, 0, 255)
WHITE = (255, 255, 255)
GREY = (156, 156, 156)
GREY_16_BIT = 40000  # whose upper 8 bits are 156
ROTATE_TO_READ = 6  # EXIF: the file's top is the right side of the upright image
HUGE_SIDE = 1 << 15  # an image with more pixels than Pillow decodes
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_GREY = 0
PNG_RGB = 2

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ImageFile:
    """An image of 32 x 32 pixels, and the colors of its corners as it should be read."""

    name: str
    write: Callable[[Path], None]
    top_left: Color
    bottom_right: Color


def solid(color: Color | str, mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), color).convert(mode)


def write_red(path: Path) -> None:
    solid(RED).save(path)


def write_red_lossless(path: Path) -> None:
    solid(RED).save(path, lossless=True)


def write_half_transparent(path: Path) -> None:
    """Transparent blue at the top, opaque red at the bottom."""
    image = Image.new("RGBA", (SIDE, SIDE), (*BLUE, 0))
    image.paste((*RED, 255), (0, SIDE // 2, SIDE, SIDE))
    image.save(path)


def write_transparent_palette(path: Path) -> None:
    """Index 0, blue, is transparent, and is at the top; index 1, red, at the bottom."""
    image = Image.new("P", (SIDE, SIDE), 0)
    image.putpalette([*BLUE, *RED])
    image.paste(1, (0, SIDE // 2, SIDE, SIDE))
    image.save(path, transparency=0)


def write_transparent_grey(path: Path) -> None:
    Image.new("LA", (SIDE, SIDE), (0, 0)).save(path)


def write_16_bit_grey(path: Path) -> None:
    Image.fromarray(np.full((SIDE, SIDE), GREY_16_BIT, np.uint16)).save(path)


def write_transparent_16_bit_grey(path: Path) -> None:
    transparent_value = struct.pack(">H", GREY_16_BIT)
    row = [GREY_16_BIT] * SIDE
    path.write_bytes(encode_16_bit_png(PNG_GREY, row, (b"tRNS", transparent_value)))


def write_16_bit_rgb(path: Path) -> None:
    row = [GREY_16_BIT] * 3 * SIDE
    path.write_bytes(encode_16_bit_png(PNG_RGB, row))


def write_32_bit_grey(path: Path) -> None:
    Image.fromarray(np.full((SIDE, SIDE), GREY_16_BIT, np.int32)).save(path)


def write_cmyk(path: Path) -> None:
    solid(RED, "CMYK").save(path, quality=100)


def write_two_frames(path: Path) -> None:
    solid(RED).save(path, save_all=True, append_images=[solid(BLUE)])


def write_photo_with_two_frames(path: Path) -> None:
    """MPO, which phones write under the name of JPEG."""
    frames = [solid(BLUE)]
    solid(RED).save(path, format="MPO", quality=100, save_all=True, append_images=frames)


def write_sideways(path: Path) -> None:
    """Red above blue in the file, so that red is on the right of the upright image."""
    image = solid(BLUE)
    image.paste(RED, (0, 0, SIDE, SIDE // 2))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = ROTATE_TO_READ
    image.save(path, exif=exif, quality=100)


def encode_16_bit_png(color_type: int, row: list[int], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of equal rows; Pillow writes no RGB PNG of 16 bits."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, color_type, 0, 0, 0)
    unfiltered_row = b"\0" + struct.pack(f">{len(row)}H", *row)
    data = zlib.compress(unfiltered_row * SIDE)
    return encode_png((b"IHDR", header), *chunks, (b"IDAT", data))


def encode_png(*chunks: tuple[bytes, bytes]) -> bytes:
    encoded = PNG_SIGNATURE
    for kind, content in (*chunks, (b"IEND", b"")):
        checksum = zlib.crc32(kind + content)
        encoded += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    return encoded


READABLE = [
    ImageFile("plain.png", write_red, RED, RED),
    ImageFile("plain.bmp", write_red, RED, RED),
    ImageFile("plain.ppm", write_red, RED, RED),
    ImageFile("plain.tiff", write_red, RED, RED),
    ImageFile("plain.webp", write_red_lossless, RED, RED),
    ImageFile("plain.gif", write_red, RED, RED),
    ImageFile("CAPITALS.PNG", write_red, RED, RED),
    ImageFile("transparent_rgb.png", write_half_transparent, WHITE, RED),
    ImageFile("transparent_palette.png", write_transparent_palette, WHITE, RED),
    ImageFile("transparent_grey.png", write_transparent_grey, WHITE, WHITE),
    ImageFile("16_bit_grey.png", write_16_bit_grey, GREY, GREY),
    ImageFile("16_bit_grey.tiff", write_16_bit_grey, GREY, GREY),
    ImageFile("16_bit_transparent.png", write_transparent_16_bit_grey, WHITE, WHITE),
    ImageFile("16_bit_rgb.png", write_16_bit_rgb, GREY, GREY),
    ImageFile("32_bit_grey.tiff", write_32_bit_grey, GREY, GREY),
    ImageFile("cmyk.jpg", write_cmyk, RED, RED),
    ImageFile("two_frames.gif", write_two_frames, RED, RED),
    ImageFile("two_frames.tiff", write_two_frames, RED, RED),
    ImageFile("two_frames.jpg", write_photo_with_two_frames, RED, RED),
    ImageFile("sideways.jpg", write_sideways, BLUE, RED),
    ImageFile("sideways.png", write_sideways, BLUE, RED),
    ImageFile("sideways.tiff", write_sideways, BLUE, RED),
]
FILES_WITH_TWO_FRAMES = 3
# Files that cannot be read, with the reason that the error gives.
UNREADABLE = {
    "empty.png": "not in an image format",
    "text.png": "not in an image format",
    "vector.png": "not in an image format",  # EPS, which Pillow hands to another program
    "truncated.png": "image file is truncated",
    "truncated.jpg": "image file is truncated",
    "folder.png": "Is a directory",
    "broken_link.png": "No such file or directory",
    "float.tiff": "the range of floating-point pixels is unknown",
    "beyond_16_bit.tiff": "pixels from 65536 to 65536 exceed 16 bits",
    "too_large.png": "decompression bomb",
}
SKIPPED = ("notes.txt", "table.csv")


def write_readable_images(folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in READABLE:
        file.write(folder / file.name)


def write_unreadable_images(folder: Path) -> None:
    """Write the files that `UNREADABLE` names."""
    folder.mkdir(parents=True)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not an image")
    (folder / "vector.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    )
    for name in ("truncated.png", "truncated.jpg"):
        Image.effect_noise((SIDE, SIDE), 50).save(folder / name)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) * 3 // 4])
    (folder / "folder.png").mkdir()
    (folder / "broken_link.png").symlink_to(folder / "nowhere.png")
    Image.new("F", (SIDE, SIDE), 0.5).save(folder / "float.tiff")
    Image.new("I", (SIDE, SIDE), 1 << 16).save(folder / "beyond_16_bit.tiff")
    huge = struct.pack(">IIBBBBB", HUGE_SIDE, HUGE_SIDE, 1, PNG_GREY, 0, 0, 0)
    (folder / "too_large.png").write_bytes(encode_png((b"IHDR", huge), (b"IDAT", b"")))


def write_skipped_files(folder: Path) -> None:
    """Write files that are not images, and hidden images."""
    for name in SKIPPED:
        (folder / name).write_text("not an image")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "broken.png").touch()
    (folder / ".broken.png").touch()
