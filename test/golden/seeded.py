"""Parameters that Python and TypeScript compute with identical bits, so that no weights need to be committed.

The twin is `seededStateDict` in goldens.ts; README.md gives the definition both follow.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked')


def seed_of(name: str) -> int:
    """FNV-1a, 32 bits, of the name's UTF-8 bytes."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    return seed


def hashes(seed: int, count: int) -> np.ndarray:
    """A 32-bit integer hash of (seed, i) for i below count."""
    x = np.arange(count, dtype=np.uint32)
    x *= np.uint32(0x9E3779B9)
    x += np.uint32(seed)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x735A2D97)
    x ^= x >> np.uint32(15)
    return x


def distribution(name: str, shape: Sequence[int]) -> tuple[float, float]:
    """Centre and half range of the uniform distribution that a parameter is drawn from."""
    if len(shape) == 4:
        fan_out = shape[0] * shape[2] * shape[3]
        return 0.0, math.sqrt(6.0 / fan_out)
    if len(shape) == 2:
        return 0.0, math.sqrt(3.0 / shape[1])
    # Random residual branches as strong as their shortcuts make a deep network amplify rounding errors (1e-4 of the
    # logits of ResNet-152, in torch too), which trained ones do not. So the norms that end branches are weaker; where
    # bn2 does not end one (in bottlenecks) the next norm undoes it.
    branch_end = name.endswith(('bn2.weight', 'bn2.bias', 'bn3.weight', 'bn3.bias'))
    if len(shape) == 1 and name.endswith('.weight'):
        return (0.2, 0.1) if branch_end else (1.0, 0.5)
    if len(shape) == 1 and name.endswith('.bias'):
        return (0.0, 0.1) if branch_end else (0.0, 0.5)
    raise ValueError(f'{name} {list(shape)}: expected a convolution, a linear layer, a weight or a bias')


def seeded_parameter(name: str, shape: Sequence[int]) -> np.ndarray:
    """float32; every step but the last rounding to float32 is float64."""
    centre, half_range = distribution(name, shape)
    signed = (hashes(seed_of(name), math.prod(shape)) + 0.5) * 2.0**-31 - 1.0
    return (centre + half_range * signed).astype(np.float32).reshape(shape)


def seeded_parameters(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """The learned parameters of a state dict; statistics and counters are left out."""
    learned = {name: shape for name, shape in shapes.items() if not name.endswith(BUFFERS)}
    return {name: seeded_parameter(name, shape) for name, shape in learned.items()}
