"""Writes lib/models/data/*.ts: what torchvision says about its pretrained ResNets, and ImageNet's class names.

Run with torchvision 0.26: python scripts/dump_weights_entries.py
"""

import json
import textwrap
from pathlib import Path

import torchvision
from torchvision.models import get_model_weights, list_models

DATA = Path(__file__).parents[1] / 'lib' / 'models' / 'data'
HEADER = f'// Written by scripts/dump_weights_entries.py from torchvision {torchvision.__version__.split("+")[0]}'


def facts(entry) -> dict:
    transform = entry.transforms()
    accuracy = entry.meta['_metrics']['ImageNet-1K']
    return {
        'url': entry.url,
        'resizeSize': transform.resize_size[0],
        'cropSize': transform.crop_size[0],
        'mean': transform.mean,
        'std': transform.std,
        'numParams': entry.meta['num_params'],
        'top1': accuracy['acc@1'],
        'top5': accuracy['acc@5'],
        'gflops': entry.meta['_ops'],
        'megabytes': entry.meta['_file_size'],
        'recipe': entry.meta['recipe'],
    }


def typescript(value, indent: int = 0) -> str:
    """Objects one field a line, everything else as JSON; strings in single quotes."""
    if isinstance(value, dict):
        pad = '  ' * (indent + 1)
        fields = ''.join(f'{pad}{key}: {typescript(field, indent + 1)},\n' for key, field in value.items())
        return '{\n' + fields + '  ' * indent + '}'
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return json.dumps(value)


def write_entries(enums: list) -> None:
    data = {
        enum.__name__: {'default': enum.DEFAULT.name, 'entries': {entry.name: facts(entry) for entry in enum}}
        for enum in enums
    }
    text = f'{HEADER}: change it there.\n\nexport const WEIGHTS_FACTS = {typescript(data)} as const;\n'
    (DATA / 'weights-facts.ts').write_text(text)


def write_categories(categories: list[str]) -> None:
    assert not any(';' in name or '`' in name or '\\' in name or name != name.strip() for name in categories)
    # Blanks inside a name must not become line ends.
    glued = '; '.join(name.replace(' ', '\N{NO-BREAK SPACE}') for name in categories)
    lines = textwrap.fill(glued, width=108, break_long_words=False, break_on_hyphens=False)
    text = f"""{HEADER}, whose list it is, under its licence:
// BSD 3-Clause, Copyright (c) Soumith Chintala 2016. All rights reserved.

/** The 1000 classes of ImageNet-1K in the order of the logits. */
export const IMAGENET_CATEGORIES: readonly string[] = Object.freeze(
  `{lines.replace(chr(0xA0), ' ')}`.split(/;\\s+/),
);
"""
    (DATA / 'imagenet-categories.ts').write_text(text)


def main() -> None:
    names = list_models(module=torchvision.models)
    models = [n for n in names if n.startswith(('resnet', 'resnext', 'wide_resnet'))]
    enums = sorted((get_model_weights(name) for name in models), key=lambda enum: enum.__name__)
    lists = {tuple(entry.meta['categories']) for enum in enums for entry in enum}
    assert len(enums) == 10 and len(lists) == 1
    DATA.mkdir(exist_ok=True)
    write_entries(enums)
    write_categories(list(lists.pop()))


if __name__ == '__main__':
    main()
