"""Images with which all is wrong."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Write them; return the options that name them, a piece of each line of faults, and of each note."""

    data, new = folder / "data", folder / "new"

    def draw(name: str) -> Path:
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(list(name.encode())).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    for split, count in (("train", 60), ("val", 3), ("test", 3)):
        for i in range(count):
            draw(f"{split}/cat/{i}.png")
    whole = draw("train/dog/0.png").read_bytes()
    photo = BytesIO()
    Image.effect_noise((64, 64), 50).save(photo, "JPEG")
    (data / "train/dog/empty.png").write_bytes(b"")
    (data / "train/dog/text.jpg").write_text("no image")
    (data / "train/dog/cut.jpg").write_bytes(photo.getvalue()[:-200])
    (data / "train/dog/half.png").write_bytes(whole[:-100])
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(data / "train/cat/deep.png")
    (data / "train/cat/folder.png").mkdir()
    (data / "train/cat/gone.png").symlink_to(data / "nowhere.png")
    (data / "train/emu").mkdir()
    for name in ("train/loose.png", "val/yak/0.png", "extra/0.png"):
        draw(name)
    (data / "val/dog").mkdir()
    (data / "val/dog/same.png").write_bytes(whole)
    new.mkdir()
    faults = [
        "dog/empty.png is no",
        "dog/text.jpg is no",
        "dog/cut.jpg is no readable image (image file is truncated",
        "dog/half.png is no",
    ]
    faults += ["8 bits in a channel", "cat/folder.png is no", "cat/gone.png is no", "train/loose.png: an image lies"]
    faults += ["train/emu: no image", "val/emu: no image", "test/emu: no image", "test/dog: no image"]
    faults += ["val/yak: train has no such class", "extra: beside train", "new: no image is there"]
    notes = ["63 of 'cat' and 5 of 'dog'", "1 of val are in train as well"]
    return [f"--data.path={data}", f"--data.predict_path={new}"], faults, notes
