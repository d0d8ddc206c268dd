"""Checks ONNX files with the onnx package and runs them with onnxruntime.

Reads one JSON line for each file from standard input, {"model", "inputs": [{"file", "shape"}]}, with inputs as raw float32, and
answers each with one line: {"outputs": [{"shape", "data"}]}, data as base64 of float32, of the file's first output.
"""

import base64
import json
import sys

import numpy as np
import onnx
import onnxruntime


def run(model: str, inputs: list[dict]) -> list[dict]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    outputs = []
    for described in inputs:
        batch = np.fromfile(described["file"], dtype=np.float32).reshape(described["shape"])
        result = session.run(None, {"input": batch})[0]
        data = base64.b64encode(np.ascontiguousarray(result).tobytes()).decode()
        outputs.append({"shape": result.shape, "data": data})
    return outputs


for line in sys.stdin:
    print(json.dumps({"outputs": run(**json.loads(line))}), flush=True)
