"""Quantises a float32 ONNX file to int8 for the peers, with the tool that onnxruntime brings for it.

    python quantize.py IN.onnx CALIBRATION.f32 SHAPE OUT.onnx

The calibration holds a batch of float32 images of SHAPE (n,c,h,w). The result is what both onnxruntime and OpenVINO run
fastest: batch norms folded, QDQ format, every operator quantised, weights symmetric for each output channel, activations
uint8 by their smallest and largest values.
"""

import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

BATCH = 8


class Images(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self.batches = iter(np.array_split(images, -(-len(images) // BATCH)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"input": batch}


def main(source: str, calibration: str, shape: str, target: str) -> None:
    logging.getLogger().setLevel(logging.ERROR)
    images = np.fromfile(calibration, dtype=np.float32).reshape([int(size) for size in shape.split(",")])
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder, "folded.onnx")
        quant_pre_process(source, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            target,
            Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
