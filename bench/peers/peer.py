"""Holds one peer, OpenVINO or torch, while `resnet-native bench` measures it.

    python peer.py openvino|torch

Reads requests from standard input and answers on standard output, a line of JSON each: see lib/bench/protocol.ts.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Callable

import numpy as np

from peak_memory import peak_memory_bytes

Run = Callable[[], np.ndarray]


def load_openvino(request: dict, batch: np.ndarray) -> Run:
    import openvino
    from openvino import properties

    config = {
        # What an int8 network leaves in floating point, its tail and the scales, may be either: bfloat16 is no faster.
        properties.hint.inference_precision(): {"bfloat16": "bf16"}.get(request["dtype"], "f32"),
        properties.hint.performance_mode(): properties.hint.PerformanceMode.LATENCY,
        properties.inference_num_threads(): request["threads"],
        properties.num_streams(): 1,
    }
    core = openvino.Core()
    model = core.read_model(request["onnx"])
    model.reshape({"input": list(batch.shape)})
    compiled = core.compile_model(model, "CPU", config)
    infer = compiled.create_infer_request()
    infer.set_input_tensor(openvino.Tensor(batch))

    def run() -> np.ndarray:
        infer.infer()
        return infer.get_output_tensor().data

    return run


def load_torch(request: dict, batch: np.ndarray) -> Run:
    import torch
    import torchvision

    torch.set_num_threads(request["threads"])
    model = torchvision.models.get_model(request["arch"])
    model.load_state_dict(read_safetensors(request["safetensors"]))
    dtype = getattr(torch, request["dtype"])
    model = model.eval().to(dtype=dtype, memory_format=torch.channels_last)
    compiled = torch.compile(model)
    images = torch.from_numpy(batch).to(memory_format=torch.channels_last)

    def run() -> np.ndarray:
        with torch.inference_mode():
            return compiled(images.to(dtype)).float().numpy()

    return run


def read_safetensors(path: str) -> dict:
    """The tensors of a file of float32 and int64: a length, a header in JSON, the data."""
    import torch

    dtypes = {"F32": torch.float32, "I64": torch.int64}
    content = bytearray(Path(path).read_bytes())
    data_start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, info in json.loads(content[8:data_start]).items():
        if name == "__metadata__":
            continue
        start, end = (data_start + offset for offset in info["data_offsets"])
        tensors[name] = torch.frombuffer(content[start:end], dtype=dtypes[info["dtype"]]).reshape(info["shape"])
    return tensors


class Peer:
    def __init__(self, name: str) -> None:
        self.module = importlib.import_module(name)
        self.loader = {"openvino": load_openvino, "torch": load_torch}[name]
        self.run_batch: Run | None = None

    def load(self, request: dict) -> dict:
        batch = np.fromfile(request["input"], dtype=np.float32).reshape(request["shape"])
        start = time.perf_counter()
        self.run_batch = self.loader(request, batch)
        loaded = time.perf_counter()
        logits = self.run_batch()
        first_run = time.perf_counter()
        return {
            "version": self.module.__version__,
            "loadMs": 1000 * (loaded - start),
            "firstRunMs": 1000 * (first_run - loaded),
            "logits": logits.ravel().tolist(),
        }

    def run(self, request: dict) -> dict:
        times = []
        end = time.perf_counter() + request["seconds"]
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            self.run_batch()
            times.append(1000 * (time.perf_counter() - start))
        return {"ms": times}

    def memory(self, request: dict) -> dict:
        return {"peakRssBytes": peak_memory_bytes()}


def answer_requests(operation: Callable[[dict], Callable[[dict], dict]]) -> None:
    """Answers each request by what `operation` picks for it, until there are no more."""
    # What the engines print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = json.dumps(operation(request)(request), allow_nan=False)
        except Exception as error:  # Whatever it is, the one who asked decides what follows.
            answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
        print(answer, file=answers, flush=True)


def main() -> None:
    peer = None

    def operation(request: dict) -> Callable[[dict], dict]:
        nonlocal peer
        peer = peer or Peer(sys.argv[1])
        return {"load": peer.load, "run": peer.run, "memory": peer.memory}[request["op"]]

    answer_requests(operation)


if __name__ == "__main__":
    main()
