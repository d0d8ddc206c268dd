"""The files of a network that peers of bench/extract want, from the one of `toOnnx`.

    python onnx_files.py rename MODEL.onnx OUT.onnx              input `pixel_values`, output `pooler_output`
    python onnx_files.py quantize MODEL.onnx OUT.onnx IMAGE…     int8, QDQ, a scale for each filter
"""

import sys

import numpy as np
import onnx
from PIL import Image

NAMES = {"input": "pixel_values", "avgpool": "pooler_output"}
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def rename(model_path: str, out: str) -> None:
    model = onnx.load(model_path)
    graph = model.graph
    for value in [*graph.input, *graph.output]:
        value.name = NAMES.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [NAMES.get(name, name) for name in node.input]
        node.output[:] = [NAMES.get(name, name) for name in node.output]
    onnx.save(model, out)


def pixels(path: str) -> np.ndarray:
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    values = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype=np.float32) / 255
    return ((values - MEAN) / STD).transpose(2, 0, 1)[None]


def quantize(model_path: str, out: str, images: list) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict | None:
            path = next(self.left, None)
            return None if path is None else {"input": pixels(path)}

    # Folds batch norms into filters.
    quant_pre_process(model_path, out, skip_symbolic_shape=True)
    quantize_static(
        out,
        out,
        Images(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


if __name__ == "__main__":
    operation, model, target, *rest = sys.argv[1:]
    if operation == "rename":
        rename(model, target)
    else:
        quantize(model, target, rest)
