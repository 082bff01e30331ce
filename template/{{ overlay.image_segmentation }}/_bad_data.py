"""Images and masks with which all is wrong."""

from pathlib import Path

import numpy as np
from PIL import Image


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Write them; return the options that name them, a piece of each line of faults, and of each note."""
    data = folder / "data"

    def draw(name: str, classes: list[int], split: str = "train", size: int = 16) -> tuple[Path, Path]:
        places = data / split / "images" / f"{name}.png", data / split / "masks" / f"{name}.png"
        pixels = np.random.default_rng(list(f"{split}/{name}".encode())).integers(0, 256, (size, size, 3), np.uint8)
        for place, array in zip(places, (pixels, np.resize(np.array(classes, np.uint8), (size, size)))):
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(place)
        return places

    for split, count in (("train", 24), ("val", 3), ("test", 3)):
        for i in range(count):
            draw(str(i), [0, 1], split)
    draw("owl", [0, 2])
    (data / "classes.txt").write_text("background\ncat\nowl\n\ncat\nunicorn\n")
    (data / "val/images/again.png").write_bytes((data / "train/images/0.png").read_bytes())
    (data / "val/masks/again.png").write_bytes((data / "train/masks/0.png").read_bytes())
    draw("alone", [0, 1])[1].unlink()
    draw("lost", [0, 1])[0].unlink()
    Image.new("RGB", (16, 16)).save(draw("colours", [0])[1])
    Image.new("L", (12, 16)).save(draw("small", [0])[1])
    draw("beyond", [0, 7])
    draw("void", [255])
    draw("text", [0, 1])[0].write_text("no image")
    cut = draw("cut", [0, 1])[0]
    cut.write_bytes(cut.read_bytes()[:-200])
    draw("garbage", [0, 1])[1].write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    draw("lossy", [0, 1])[1].write_bytes(b"")
    Image.new("L", (16, 16)).save(data / "train/masks/lossy.png", "JPEG")
    Image.fromarray(np.full((16, 16), 40000, np.uint16)).save(draw("deep", [0, 1])[0])
    Image.fromarray(np.full((16, 16), 40000, np.uint16)).save(draw("deepmask", [0, 1])[1])
    Image.new("RGB", (16, 16)).save(data / "train/images/1.jpg")
    (data / "train/images/folder.png").mkdir()
    Image.new("L", (16, 16)).save(data / "train/masks/folder.png")
    (folder / "new").mkdir()
    faults = [
        "classes.txt, line 4: a line is",
        "classes.txt, line 5: names differ",
        "images/alone.png: an image has a mask",
    ]
    faults += ["masks/lost.png: an image has a mask", "masks/colours.png: a mask is PNG", "16 x 16, not 12 x 16"]
    faults += [
        "masks/beyond.png: classes are 0 to 5",
        "masks/void.png: all pixels are 255",
        "images/text.png: images are",
    ]
    faults += ["images/cut.png: images are", "masks/garbage.png: a mask is whole", "not JPEG of mode L"]
    faults += [
        "images/deep.png: images are",
        "masks/deepmask.png: a mask is PNG",
        "a name has one file, 1.jpg is there",
    ]
    faults += ["images/folder.png: images are", "is of class unicorn", "new: no image is there"]
    notes = ["24 of 'cat' and 1 of 'owl'", "1 of val are in train as well"]
    return [f"--data.path={data}", f"--data.predict_path={folder / 'new'}"], faults, notes
