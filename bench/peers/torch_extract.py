"""Holds torch while bench/extract measures it: image files to an .npy file of `avgpool`, by a DataLoader of torchvision's
preset and a compiled network.

    python torch_extract.py

Reads requests from standard input and answers on standard output, a line of JSON each: see bench/extract/engine.mjs.
"""

import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms._presets import ImageClassification

from peak_memory import peak_memory_bytes
from peer import answer_requests, read_safetensors


class Files(Dataset):
    def __init__(self, files: list) -> None:
        self.files = files
        self.transform = ImageClassification(crop_size=224)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.transform(Image.open(self.files[i]).convert("RGB"))


class TorchExtractor:
    def load(self, request: dict) -> dict:
        start = time.perf_counter()
        torch.set_num_threads(request["threads"])
        self.batch, self.workers = request["batch"], request["workers"]
        self.dtype = getattr(torch, request["dtype"])
        model = torchvision.models.get_model(request["arch"])
        model.load_state_dict(read_safetensors(request["safetensors"]))
        extractor = create_feature_extractor(model.eval(), ["flatten"])
        self.model = torch.compile(extractor.to(dtype=self.dtype, memory_format=torch.channels_last))
        # Compiled now, for the whole batch and for the smaller last one.
        rest = request["count"] % self.batch
        for size in {self.batch, rest or self.batch}:
            self.compute(torch.zeros(size, 3, 224, 224))
        return {"loadMs": 1000 * (time.perf_counter() - start), "version": torch.__version__}

    def compute(self, images: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            images = images.to(dtype=self.dtype, memory_format=torch.channels_last)
            return self.model(images)["flatten"].float().numpy()

    def run(self, request: dict) -> dict:
        files = request["files"]
        start = time.perf_counter()
        rows, first = None, 0
        for images in DataLoader(Files(files), batch_size=self.batch, num_workers=self.workers):
            features = self.compute(images)
            if rows is None:
                shape = (len(files), features.shape[1])
                path = Path(request["out"]) / "features.npy"
                rows = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            rows[first : first + len(features)] = features
            first += len(features)
        rows.flush()
        return {"seconds": time.perf_counter() - start}

    def memory(self, request: dict) -> dict:
        """Of this process, not of its workers."""
        return {"peakRssBytes": peak_memory_bytes()}


if __name__ == "__main__":
    extractor = TorchExtractor()
    OPERATIONS = {"load": extractor.load, "pass": extractor.run, "memory": extractor.memory}
    answer_requests(lambda request: OPERATIONS[request["op"]])
