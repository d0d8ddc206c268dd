"""Trains the model that the package ships: models/digits-resnet20.safetensors, and its held-out pictures.

A CIFAR-form ResNet-20 with zero-padded shortcuts on the handwritten digits that come with scikit-learn. A fifth of
them, stratified, is held out: written as PNG files, never looked at before training has ended, and then classified
once, through the same path that the package takes. Minutes on two cores:

    pip install -r scripts/requirements-golden.txt
    python scripts/train_digits.py
"""

import io
import json
import math
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torchvision.models.resnet import ResNet
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'test' / 'golden'))
from networks import build_configuration  # noqa: E402

SEED = 20
SIZE = 32
EPOCHS = 60
BATCH = 64
LEARNING_RATE = 0.1
WEIGHT_DECAY = 5e-4

HELD_OUT = ROOT / 'models' / 'digits-heldout'
MODEL = ROOT / 'models' / 'digits-resnet20.safetensors'

to_pixels = Compose([Resize(SIZE, InterpolationMode.BILINEAR, antialias=True), CenterCrop(SIZE), PILToTensor()])


def encode_digit(digit: np.ndarray) -> bytes:
    """The dataset's 8×8 values of 0 to 16 as an 8-bit greyscale PNG, white on black."""
    buffer = io.BytesIO()
    Image.fromarray(np.round(digit * (255 / 16)).astype(np.uint8)).save(buffer, 'PNG', optimize=True)
    return buffer.getvalue()


def load_picture(file: io.BytesIO | Path) -> Tensor:
    """A picture file as the package sees it: uint8 [3, SIZE, SIZE]."""
    return to_pixels(Image.open(file).convert('RGB'))


def write_held_out(pictures: list[bytes], labels: np.ndarray, indices: np.ndarray) -> None:
    """One file for each held-out digit, named after its place in the dataset and its label."""
    shutil.rmtree(HELD_OUT, ignore_errors=True)
    HELD_OUT.mkdir(parents=True)
    for index in sorted(indices):
        (HELD_OUT / f'{index:04d}-{labels[index]}.png').write_bytes(pictures[index])


def augment(x: Tensor) -> Tensor:
    """Rotates by up to 12°, scales by up to 10%, shifts by up to an eighth; black comes in from outside."""
    n = x.shape[0]
    angle = (torch.rand(n) * 2 - 1) * math.radians(12)
    scale = 1 + (torch.rand(n) * 2 - 1) * 0.1
    shift = (torch.rand(n, 2) * 2 - 1) * 0.25
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale * torch.cos(angle)
    matrix[:, 1, 0] = scale * torch.sin(angle)
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, :, 2] = shift
    return F.grid_sample(x, F.affine_grid(matrix, list(x.shape), align_corners=False), align_corners=False)


def train(network: ResNet, pixels: Tensor, labels: Tensor, mean: float, std: float) -> None:
    steps_per_epoch = len(labels) // BATCH
    optimizer = torch.optim.SGD(
        network.parameters(), LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, EPOCHS * steps_per_epoch)
    network.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(labels))[: steps_per_epoch * BATCH].split(BATCH):
            x = (augment(pixels[batch] / 255) - mean) / std
            loss = F.cross_entropy(network(x.contiguous(memory_format=torch.channels_last)), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f'epoch {epoch + 1}/{EPOCHS}: loss {total / steps_per_epoch:.4f}', flush=True)


@torch.no_grad()
def count_correct(network: ResNet, files: list[Path], mean: float, std: float) -> int:
    network.eval()
    labels = torch.tensor([int(file.stem.split('-')[1]) for file in files])
    pixels = torch.stack([load_picture(file) for file in files])
    predicted = network((pixels / 255 - mean) / std).argmax(1)
    for file, guess in zip(files, predicted.tolist()):
        if not file.stem.endswith(str(guess)):
            print(f'wrong: {file.name} as {guess}')
    return int((predicted == labels).sum())


def save(network: ResNet, mean: float, std: float, correct: int, held_out: int, trained: int) -> None:
    architecture = {
        'family': 'resnet',
        'block': 'BasicBlock',
        'layers': [3, 3, 3],
        'numClasses': 10,
        'stem': 'cifar',
        'shortcut': 'zero-pad',
    }
    transform = {
        'resizeSize': SIZE,
        'cropSize': SIZE,
        'mean': [mean] * 3,
        'std': [std] * 3,
        'interpolation': 'bilinear',
    }
    training = (
        f'scripts/train_digits.py: {trained} of the 1797 handwritten digits shipped with scikit-learn, seed {SEED}, '
        f'{EPOCHS} epochs of SGD with Nesterov momentum 0.9, one-cycle learning rate up to {LEARNING_RATE}, weight '
        f'decay {WEIGHT_DECAY}, batch {BATCH}; rotations, scalings and shifts as augmentation'
    )
    accuracy = {'heldOut': round(correct / held_out, 6), 'correct': correct, 'count': held_out}
    metadata = {
        'format': 'resnet-native',
        'architecture': json.dumps(architecture),
        'categories': json.dumps([str(digit) for digit in range(10)]),
        'transform': json.dumps(transform),
        'accuracy': json.dumps(accuracy),
        'training': training,
    }
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, MODEL, metadata)


def main() -> None:
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    pictures = [encode_digit(image) for image in digits.images]
    chosen, held_out = train_test_split(
        np.arange(len(pictures)), test_size=0.2, stratify=digits.target, random_state=SEED
    )
    write_held_out(pictures, digits.target, held_out)

    pixels = torch.stack([load_picture(io.BytesIO(pictures[index])) for index in chosen])
    mean = round((pixels / 255).mean().item(), 4)
    std = round((pixels / 255).std().item(), 4)
    options = {'stem': 'cifar', 'shortcut': 'zero-pad', 'numClasses': 10}
    network = build_configuration('BasicBlock', [3, 3, 3], options).to(memory_format=torch.channels_last)
    started = time.perf_counter()
    train(network, pixels, torch.from_numpy(digits.target[chosen]), mean, std)
    print(f'trained in {time.perf_counter() - started:.0f} s')

    correct = count_correct(network, sorted(HELD_OUT.glob('*.png')), mean, std)
    print(f'held out: {correct} of {len(held_out)} right')
    save(network, mean, std, correct, len(held_out), len(chosen))


if __name__ == '__main__':
    main()
