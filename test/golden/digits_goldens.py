"""Writes `digits.json`: what torch makes of the held-out digits with the weights that the package ships."""

import json
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

from networks import build_configuration


def load_shipped(file: Path) -> tuple[torch.nn.Module, dict]:
    """The network in float64, built from the file's own metadata, and its transform."""
    with safe_open(file, 'pt') as opened:
        metadata = opened.metadata()
    architecture = json.loads(metadata['architecture'])
    options = {name: architecture[name] for name in ('numClasses', 'stem', 'shortcut')}
    network = build_configuration(architecture['block'], architecture['layers'], options)
    network.load_state_dict(load_file(file))
    return network.double().eval(), json.loads(metadata['transform'])


@torch.no_grad()
def write_digits(models: Path, file: Path) -> None:
    network, transform = load_shipped(models / 'digits-resnet20.safetensors')
    resize = Resize(transform['resizeSize'], InterpolationMode.BILINEAR, antialias=True)
    to_pixels = Compose([resize, CenterCrop(transform['cropSize']), PILToTensor()])
    mean, std = (torch.tensor(transform[name], dtype=torch.float64).view(3, 1, 1) for name in ('mean', 'std'))
    lines = []
    for picture in sorted((models / 'digits-heldout').glob('*.png')):
        pixels = to_pixels(Image.open(picture).convert('RGB')).double()
        logits = network(((pixels / 255 - mean) / std)[None])[0]
        lines.append(f'{json.dumps(picture.name)}: {json.dumps([round(v, 8) for v in logits.tolist()])}')
    file.write_text('{\n' + ',\n'.join(lines) + '\n}\n')
