"""Writes `images/`: image files and what Pillow and torchvision make of them, in `images/index.json`."""

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import PIL
import sklearn
import torchvision
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from awkward_images import awkward_images

PHOTOS = ('china.jpg', 'flower.jpg')

# (resize size, crop size): torchvision's two ResNet presets; a small one whose crop margins are odd, where Python's
# rounding to even decides; no margin at all; and a crop larger than the picture, which torchvision pads with zeros.
PRESETS = ((256, 224), (232, 224), (64, 56), (63, 56), (32, 32), (40, 65), (16, 12))

# Images up to this many bytes are stored whole, larger ones as a sample beside their hash.
WHOLE_BYTES = 4096
SAMPLE_BYTES = 512

# A picture of one row becomes this much wider than it is high; the large presets would need gigabytes.
LARGEST_RESIZED_PIXELS = 6_000_000


def photo_folder() -> Path:
    return Path(sklearn.__file__).parent / 'datasets' / 'images'


def open_photo(path: Path) -> Image.Image:
    photo = Image.open(path).convert('RGB')
    # Profiles and resolution would travel into every file made from the photo.
    photo.info.clear()
    return photo


def describe_pixels(image: Image.Image) -> dict:
    """Size, SHA-256 of the RGB bytes (rows of R, G, B), and those bytes: all, or every `stride`-th."""
    assert image.mode == 'RGB'
    pixels = np.asarray(image).reshape(-1)
    described = {
        'width': image.width,
        'height': image.height,
        'sha256': hashlib.sha256(pixels.tobytes()).hexdigest(),
    }
    stride = 1
    if pixels.size > WHOLE_BYTES:
        stride = pixels.size // SAMPLE_BYTES
        # A multiple of 3 would sample one colour only.
        stride += stride % 3 == 0
    described['stride'] = stride
    described['base64'] = base64.b64encode(pixels[::stride].tobytes()).decode()
    return described


def resized_pixels(image: Image.Image, resize_size: int) -> int:
    short, long = sorted(image.size)
    return resize_size * int(resize_size * long / short)


def describe_transforms(image: Image.Image) -> list[dict]:
    described = []
    for resize_size, crop_size in PRESETS:
        if resized_pixels(image, resize_size) > LARGEST_RESIZED_PIXELS:
            continue
        transform = Compose(
            [Resize(resize_size, InterpolationMode.BILINEAR, antialias=True), CenterCrop(crop_size)]
        )
        pixels = describe_pixels(transform(image))
        described.append({'resizeSize': resize_size, 'cropSize': crop_size, **pixels})
    return described


def describe_image(name: str, data: bytes, description: str, tolerance: int | None) -> dict:
    entry = {'file': name, 'description': description}
    opened = Image.open(io.BytesIO(data))
    entry['mode'] = opened.mode
    if tolerance is None:
        try:
            opened.convert('RGB')
        except OSError as error:
            return {**entry, 'error': str(error)}
        raise AssertionError(f'Pillow was expected to refuse {name}')
    image = opened.convert('RGB')
    pixels = {'decoded': describe_pixels(image), 'transformed': describe_transforms(image)}
    return {**entry, 'tolerance': tolerance, **pixels}


def write_image_goldens(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    photos = [photo_folder() / name for name in PHOTOS]
    entries = [(p.name, p.read_bytes(), 'photograph shipped with scikit-learn', 0) for p in photos]
    entries += awkward_images(*map(open_photo, photos))
    described = []
    for name, data, description, tolerance in entries:
        (folder / name).write_bytes(data)
        described.append(describe_image(name, data, description, tolerance))
    index = {
        'madeWith': {'pillow': PIL.__version__, 'torchvision': torchvision.__version__},
        'images': described,
    }
    (folder / 'index.json').write_text(json.dumps(index, indent=1) + '\n')
