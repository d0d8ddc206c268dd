"""The file of a network that transformers.js wants, from the one of `toOnnx`: its input is `pixel_values`, its output
`pooler_output`.

    python rename_onnx.py MODEL.onnx OUT.onnx
"""

import sys

import onnx

NAMES = {"input": "pixel_values", "avgpool": "pooler_output"}


def rename(model_path: str, out: str) -> None:
    model = onnx.load(model_path)
    graph = model.graph
    for value in [*graph.input, *graph.output]:
        value.name = NAMES.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [NAMES.get(name, name) for name in node.input]
        node.output[:] = [NAMES.get(name, name) for name in node.output]
    onnx.save(model, out)


if __name__ == "__main__":
    rename(*sys.argv[1:])
