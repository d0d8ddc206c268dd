"""Makes every file of this folder that tests compare with. README.md says what each part is and how to run this."""

import argparse
from pathlib import Path

HERE = Path(__file__).parent


def make_images() -> None:
    from image_goldens import write_image_goldens

    write_image_goldens(HERE / 'images')


PARTS = {'images': make_images}


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
