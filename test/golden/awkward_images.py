"""Image files that decoders disagree about: every subsampling, mode, depth and marker the transforms must get right.

Each entry of `awkward_images()` is `(file name, bytes, what it is, tolerance)`. The tolerance is the largest difference
per byte that a decoder other than Pillow's may show: 0 for lossless formats and common JPEG, 2 for other JPEG, None
where Pillow itself refuses the file.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

Entry = tuple[str, bytes, str, int | None]

ADOBE_MARKER = b'\xff\xee\x00\x0eAdobe'


def encode(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def encode_jpeg(image: Image.Image, subsampling: int = 2, **options) -> bytes:
    return encode(image, 'JPEG', quality=88, subsampling=subsampling, **options)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def raw_png(samples: np.ndarray, depth: int, colour_type: int, before_data: bytes = b'') -> bytes:
    """A PNG of the given rows of packed bytes, for depths and colour types that Pillow does not write."""
    height = samples.shape[0]
    bits_per_pixel = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    width = samples.shape[1] * 8 // bits_per_pixel
    header = struct.pack('>IIBBBBB', width, height, depth, colour_type, 0, 0, 0)
    rows = b''.join(b'\0' + row.tobytes() for row in samples)
    return (
        b'\x89PNG\r\n\x1a\n'
        + png_chunk(b'IHDR', header)
        + before_data
        + png_chunk(b'IDAT', zlib.compress(rows, 9))
        + png_chunk(b'IEND', b'')
    )


def jpegs(photo: Image.Image) -> Iterator[Entry]:
    for subsampling, name in enumerate(('444', '422', '420')):
        yield f'jpeg-{name}.jpg', encode_jpeg(photo, subsampling), f'JPEG {":".join(name)}', 0
    odd = photo.crop((3, 5, 3 + 97, 5 + 61))
    for subsampling, name in enumerate(('444', '422', '420')):
        yield f'jpeg-{name}-97x61.jpg', encode_jpeg(odd, subsampling), f'JPEG {":".join(name)}, odd size', 0
    yield 'jpeg-progressive.jpg', encode_jpeg(odd, progressive=True), 'progressive JPEG 4:2:0, odd size', 0
    yield 'jpeg-restart.jpg', encode_jpeg(odd, restart_marker_rows=1), 'JPEG with restart markers', 0
    yield 'jpeg-grey.jpg', encode_jpeg(odd.convert('L')), 'greyscale JPEG', 0
    exif = Image.Exif()
    exif[0x0112] = 6
    yield 'jpeg-exif-rotated.jpg', encode_jpeg(odd, exif=exif), 'EXIF orientation 6, which Pillow does not apply', 0
    with_profile = encode_jpeg(odd, icc_profile=profile_red_as_blue())
    yield 'jpeg-icc.jpg', with_profile, 'JPEG whose ICC profile swaps red and blue, which Pillow ignores', 0
    yield 'jpeg-rgb.jpg', encode_jpeg(odd, 0, keep_rgb=True), 'JPEG that stores RGB instead of YCbCr', 2
    yield 'jpeg-440.jpg', jpeg_440(photo.crop((0, 0, 48, 48))), 'JPEG 4:4:0 (chroma halved vertically)', 2
    yield from cmyk_jpegs(photo.crop((10, 10, 10 + 53, 10 + 40)))
    truncated = encode_jpeg(odd)
    yield 'jpeg-truncated.jpg', truncated[: len(truncated) // 2], 'JPEG cut off in the middle', None


def profile_red_as_blue() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    # The date of making; fixed so that the file is the same every time.
    profile[24:36] = struct.pack('>6H', 2000, 1, 1, 0, 0, 0)
    red, blue = profile.index(b'rXYZ'), profile.index(b'bXYZ')
    profile[red : red + 4], profile[blue : blue + 4] = b'bXYZ', b'rXYZ'
    return bytes(profile)


def jpeg_440(square: Image.Image) -> bytes:
    """Pillow writes no 4:4:0, but a square 4:2:2 file whose luma factors are swapped from 2×1 to 1×2 is one."""
    data = bytearray(encode_jpeg(square, 1))
    frame = data.index(b'\xff\xc0')
    luma_factors = frame + 11
    assert data[luma_factors] == 0x21
    data[luma_factors] = 0x12
    return bytes(data)


def cmyk_jpegs(photo: Image.Image) -> Iterator[Entry]:
    adobe = encode_jpeg(cmyk_with_black(photo), 0)
    marker = adobe.index(ADOBE_MARKER)
    transform = marker + 15
    assert adobe[transform] == 0
    ycck = adobe[:transform] + b'\2' + adobe[transform + 1 :]
    without_marker = adobe[:marker] + adobe[marker + 16 :]
    yield 'jpeg-cmyk-adobe.jpg', adobe, 'CMYK JPEG with Adobe marker (values inverted)', 2
    yield 'jpeg-ycck-adobe.jpg', ycck, 'the same coefficients marked as YCCK', 2
    yield 'jpeg-cmyk-plain.jpg', without_marker, 'CMYK JPEG without Adobe marker (Pillow inverts it too)', 2


def cmyk_with_black(photo: Image.Image) -> Image.Image:
    """Pillow's own conversion to CMYK leaves black at zero; this one moves the common part of the inks to it."""
    inks = 255 - np.asarray(photo).astype(np.int32)
    black = inks.min(axis=2, keepdims=True) * 3 // 4
    return Image.fromarray(np.concatenate([inks - black, black], axis=2).astype(np.uint8), 'CMYK')


def pngs(photo: Image.Image) -> Iterator[Entry]:
    odd = photo.crop((20, 30, 20 + 67, 30 + 45))
    alpha = Image.linear_gradient('L').resize(odd.size)
    with_alpha = odd.copy()
    with_alpha.putalpha(alpha)
    grey = odd.convert('L')
    palette = odd.quantize(64)
    yield 'png-rgb.png', encode(odd, 'PNG'), 'PNG RGB', 0
    yield 'png-rgba.png', encode(with_alpha, 'PNG'), 'PNG RGBA: alpha is dropped, not composited', 0
    yield 'png-rgb-colour-key.png', encode(odd, 'PNG', transparency=odd.getpixel((0, 0))), 'PNG RGB with tRNS', 0
    yield 'png-palette.png', encode(palette, 'PNG'), 'PNG palette of 64 colours', 0
    yield 'png-palette-4-bit.png', encode(odd.quantize(11), 'PNG'), 'PNG palette of 11 colours, 4 bits', 0
    transparency = bytes(range(0, 256, 4))
    yield 'png-palette-alpha.png', encode(palette, 'PNG', transparency=transparency), 'PNG palette with alpha', 0
    yield 'png-palette-key.png', encode(palette, 'PNG', transparency=3), 'PNG palette with one clear colour', 0
    yield 'png-grey.png', encode(grey, 'PNG'), 'PNG grey', 0
    yield 'png-grey-key.png', encode(grey, 'PNG', transparency=100), 'PNG grey with tRNS', 0
    grey_alpha = Image.merge('LA', (grey, alpha))
    yield 'png-grey-alpha.png', encode(grey_alpha, 'PNG'), 'PNG grey and alpha', 0
    yield 'png-1-bit.png', encode(grey.convert('1'), 'PNG'), 'PNG black and white, 1 bit', 0
    yield from deep_and_shallow_pngs()
    gamma = png_chunk(b'gAMA', struct.pack('>I', 100000))
    rows = np.asarray(odd).reshape(odd.height, -1)
    yield 'png-gamma.png', raw_png(rows, 8, 2, gamma), 'PNG RGB with gamma 1.0, which Pillow ignores', 0


def deep_and_shallow_pngs() -> Iterator[Entry]:
    """Depths other than 8; the random values reach every high and low byte, and every packed value."""
    rng = np.random.default_rng(16)
    width, height = 40, 28
    for channels, colour_type, name in ((1, 0, 'grey'), (2, 4, 'grey-alpha'), (3, 2, 'rgb'), (4, 6, 'rgba')):
        samples = rng.integers(0, 1 << 16, (height, width * channels)).astype('>u2')
        # A run of small values too: a conversion that clips instead of shifting shows there.
        samples[: height // 2] //= 256
        packed = samples.view(np.uint8).reshape(height, -1)
        yield f'png-{name}-16-bit.png', raw_png(packed, 16, colour_type), f'PNG {name}, 16 bits', 0
    for depth in (2, 4):
        packed = rng.integers(0, 256, (height, width * depth // 8)).astype(np.uint8)
        yield f'png-grey-{depth}-bit.png', raw_png(packed, depth, 0), f'PNG grey, {depth} bits', 0


def shapes(photo: Image.Image) -> Iterator[Entry]:
    for width, height in ((1, 1), (1, 40), (200, 1), (400, 17), (23, 19), (2, 3), (300, 224)):
        crop = photo.crop((50, 60, 50 + width, 60 + height))
        yield f'size-{width}x{height}.png', encode(crop, 'PNG'), f'PNG RGB, {width}×{height}', 0
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 2, (90, 70, 3)).astype(np.uint8) * 255
    yield 'noise-70x90.png', encode(Image.fromarray(noise), 'PNG'), 'only 0 and 255: rounding and clipping', 0


def other_formats(photo: Image.Image) -> Iterator[Entry]:
    odd = photo.crop((40, 80, 40 + 59, 80 + 43))
    with_alpha = odd.copy()
    with_alpha.putalpha(Image.linear_gradient('L').resize(odd.size))
    yield 'webp-lossless.webp', encode(odd, 'WEBP', lossless=True), 'WebP lossless', 0
    exact_alpha = encode(with_alpha, 'WEBP', lossless=True, exact=True)
    yield 'webp-lossless-alpha.webp', exact_alpha, 'WebP lossless with alpha, colours under it kept', 0
    yield 'webp-lossy.webp', encode(odd, 'WEBP', quality=80), 'WebP lossy', 2
    palette = odd.quantize(100)
    yield 'gif.gif', encode(palette, 'GIF'), 'GIF', 0
    yield 'gif-clear.gif', encode(palette, 'GIF', transparency=5), 'GIF with a clear colour', 0
    frames = {'save_all': True, 'append_images': [odd.rotate(180).quantize(100)]}
    yield 'gif-animated.gif', encode(palette, 'GIF', **frames), 'GIF of two frames: the first counts', 0
    yield 'tiff-lzw.tiff', encode(odd, 'TIFF', compression='tiff_lzw'), 'TIFF RGB, LZW', 0
    yield 'tiff-grey.tiff', encode(odd.convert('L'), 'TIFF'), 'TIFF grey, not compressed', 0


def awkward_images(china: Image.Image, flower: Image.Image) -> Iterator[Entry]:
    photo = china.crop((200, 100, 200 + 128, 100 + 96))
    yield from jpegs(photo)
    yield from pngs(photo)
    yield from shapes(flower)
    yield from other_formats(photo)
