"""Makes every file of this folder that tests compare with. README.md says what each part is and how to run this."""

import argparse
from pathlib import Path

from architecture_goldens import write_architectures
from digits_goldens import write_digits
from image_goldens import write_image_goldens
from network_goldens import check_seeded_parameters, write_network_goldens

HERE = Path(__file__).parent

PARTS = {
    'images': lambda: write_image_goldens(HERE / 'images'),
    'architectures': lambda: write_architectures(HERE / 'architectures.json'),
    'networks': lambda: write_network_goldens(HERE / 'networks'),
    'digits': lambda: write_digits(HERE.parent.parent / 'models', HERE / 'digits.json'),
    'check': lambda: check_seeded_parameters(HERE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('parts', nargs='*', metavar='part', help=f'of {", ".join(PARTS)}; all by default')
    parts = parser.parse_args().parts or list(PARTS)
    for part in parts:
        if part not in PARTS:
            parser.error(f'unknown part {part!r}: expected {", ".join(PARTS)}')
        PARTS[part]()


if __name__ == '__main__':
    main()
