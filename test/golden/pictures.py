"""Crops of scikit-learn's two photographs: the inputs of the goldens, and others to measure statistics on."""

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop

from image_goldens import PHOTOS, open_photo, photo_folder

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])

# Height, width and number of the pictures of each input.
INPUTS = {
    'photos-224x224': (224, 224, 4),
    'photos-97x131': (97, 131, 4),
    'photos-64x80': (64, 80, 5),
    'photos-32x32': (32, 32, 8),
    'photos-31x45': (31, 45, 4),
    'photos-5x3': (5, 3, 4),
}


def crops(height: int, width: int, count: int, seed: int) -> np.ndarray:
    """uint8 [count, height, width, 3]: random parts of the photos in turn, some of them mirrored."""
    photos = [open_photo(photo_folder() / name) for name in PHOTOS]
    rng = np.random.default_rng([seed, height, width])
    return np.stack([crop(photos[i % len(photos)], height, width, rng) for i in range(count)])


def crop(photo: Image.Image, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    largest = min(photo.height / height, photo.width / width)
    scale = largest * rng.uniform(0.4, 1.0)
    crop_height, crop_width = int(height * scale), int(width * scale)
    top = int(rng.integers(0, photo.height - crop_height + 1))
    left = int(rng.integers(0, photo.width - crop_width + 1))
    part = resized_crop(
        photo, top, left, crop_height, crop_width, [height, width], InterpolationMode.BILINEAR
    )
    pixels = np.asarray(part)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def input_pictures(name: str) -> np.ndarray:
    return crops(*INPUTS[name], seed=0)


def calibration_pictures(name: str) -> np.ndarray:
    height, width, _ = INPUTS[name]
    return crops(height, width, 8 if height * width > 20_000 else 32, seed=1)


def normalise(pixels: np.ndarray) -> np.ndarray:
    """torchvision's preset in float64: uint8 NHWC to normalised NCHW."""
    return ((pixels / 255.0 - MEAN) / STD).transpose(0, 3, 1, 2).copy()
