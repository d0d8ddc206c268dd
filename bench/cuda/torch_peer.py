"""Measures torch on a GPU, in one cell, as own.mjs does with this package; or the GPU's own ceilings.

    python torch_peer.py eager|compile MODEL.safetensors resnet50 float16 256 5
    python torch_peer.py ceilings

Prints one line of JSON. `compile` is torch.compile(mode="max-autotune"), which captures CUDA graphs. Both run channels
last. From the host: uint8 images in pinned memory, normalised on the GPU, logits back in host memory. On the device:
normalised images that are there already.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "peers"))
from peer import read_safetensors  # noqa: E402

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def milliseconds_of(run, seconds: float) -> list[float]:
    """Of runs queued one behind the other, between events, in groups that fill the queue."""
    group, times = 10, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(group):
            run()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop) / group)
    return times


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def load(engine: str, file: str, arch: str, dtype: str):
    import torchvision

    tf32 = dtype == "tf32"
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    model = torchvision.models.get_model(arch)
    model.load_state_dict(read_safetensors(file))
    torch_dtype = torch.float32 if tf32 else getattr(torch, dtype)
    model = model.eval().to(device="cuda", dtype=torch_dtype, memory_format=torch.channels_last)
    return (torch.compile(model, mode="max-autotune") if engine == "compile" else model), torch_dtype


@torch.inference_mode()
def measure(engine: str, file: str, arch: str, dtype: str, batch: int, seconds: float) -> dict:
    model, torch_dtype = load(engine, file, arch, dtype)
    pixels = torch.randint(0, 256, (batch, 224, 224, 3), dtype=torch.uint8).pin_memory()
    mean = torch.tensor([255 * value for value in MEAN], device="cuda").view(1, 3, 1, 1)
    std = torch.tensor([255 * value for value in STD], device="cuda").view(1, 3, 1, 1)

    def normalise(images: torch.Tensor) -> torch.Tensor:
        planes = images.to("cuda", non_blocking=True).permute(0, 3, 1, 2)
        return ((planes - mean) / std).to(torch_dtype, memory_format=torch.channels_last)

    resident = normalise(pixels)

    def from_host() -> torch.Tensor:
        return model(normalise(pixels)).float().cpu()

    start = time.perf_counter()
    from_host()
    first_ms = 1000 * (time.perf_counter() - start)
    for _ in range(5):
        from_host()
    device_ms = median(milliseconds_of(lambda: model(resident), seconds))
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        begin = time.perf_counter()
        from_host()
        times.append(1000 * (time.perf_counter() - begin))
    times.sort()
    return {
        "engine": f"torch {engine}",
        "version": torch.__version__,
        "dtype": dtype,
        "batch": batch,
        "firstRunMs": first_ms,
        "deviceImagesPerSecond": 1000 * batch / device_ms,
        "hostImagesPerSecond": 1000 * batch * len(times) / sum(times),
        "p50": times[len(times) // 2],
        "p99": times[min(len(times) - 1, int(0.99 * len(times)))],
    }


def ceilings() -> dict:
    """What this card does at best: a copy (bytes read and written), and matrix products of random data."""
    size = 1 << 30
    source, target = (torch.empty(size, dtype=torch.uint8, device="cuda") for _ in range(2))
    copy_ms = median(milliseconds_of(lambda: target.copy_(source), 0.5))
    rates = {}
    for name, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("float16", torch.float16, False),
        ("bfloat16", torch.bfloat16, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        side = 4096 if name == "float32" else 8192
        a, b = (torch.randn(side, side, device="cuda").to(dtype) for _ in range(2))
        rates[name] = 2 * side**3 / (median(milliseconds_of(lambda: a @ b, 0.5)) * 1e9)
    a, b = (torch.randint(-128, 127, (8192, 8192), dtype=torch.int8, device="cuda") for _ in range(2))
    rates["int8"] = 2 * 8192**3 / (median(milliseconds_of(lambda: torch._int_mm(a, b.t()), 0.5)) * 1e9)
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "memoryBytes": properties.total_memory,
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "copyBytesPerSecond": 2 * size / (copy_ms / 1000),
        "tflops": rates,
    }


def main() -> None:
    # What torch prints must not come between the answer and its reader.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1] == "ceilings":
        answer = ceilings()
    else:
        engine, file, arch, dtype, batch, seconds = sys.argv[1:7]
        answer = measure(engine, file, arch, dtype, int(batch), float(seconds))
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
