"""Talks to a server with Triton's own clients; ends with 0 when every answer is as it should be.

Usage: python triton_clients.py HTTP_ADDRESS GRPC_ADDRESS < '{"pixels": [n, h, w, 3], "logits": [n, classes]}'
"""

import json
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

http_address, grpc_address = sys.argv[1:]
given = json.load(sys.stdin)
pixels = np.array(given["pixels"], np.uint8)
wanted = np.array(given["logits"], np.float32)


def infer(module, client, binary):
    kinds = {"binary_data": binary} if module is http else {}
    image = module.InferInput("image", list(pixels.shape), "UINT8")
    image.set_data_from_numpy(pixels, **kinds)
    outputs = [module.InferRequestedOutput("logits", **kinds)]
    result = client.infer("digits", [image], outputs=outputs, request_id="7")
    np.testing.assert_allclose(result.as_numpy("logits"), wanted, atol=1e-4)

    outputs = [module.InferRequestedOutput("logits", class_count=2, **kinds)]
    classes = client.infer("digits", [image], outputs=outputs).as_numpy("logits")
    assert classes.shape == (len(pixels), 2), classes.shape
    first = classes[0][0]
    value, index, label = (first.decode() if isinstance(first, bytes) else first).split(":")
    assert int(index) == int(wanted[0].argmax()) and label == index, first
    assert abs(float(value) - wanted[0].max()) < 1e-4, first

    for dtype, name in ((np.float32, "FP32"), (np.float16, "FP16")):
        if name == "FP16" and not (binary or module is grpc):
            continue
        floats = np.zeros((1, 3, 32, 32), dtype)
        tensor = module.InferInput("input", list(floats.shape), name)
        tensor.set_data_from_numpy(floats, **kinds)
        assert client.infer("digits", [tensor]).as_numpy("logits").shape == (1, 10)


def refused(client, module, name):
    image = module.InferInput("image", [1, 2, 2, 3], "UINT8")
    image.set_data_from_numpy(np.zeros((1, 2, 2, 3), np.uint8))
    try:
        client.infer(name, [image], outputs=[module.InferRequestedOutput("nothing")])
    except InferenceServerException as error:
        return str(error)
    raise AssertionError("expected an error")


for module, address in ((http, http_address), (grpc, grpc_address)):
    client = module.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("digits")
    metadata = client.get_server_metadata()
    assert (metadata["name"] if module is http else metadata.name) == "resnet-native"
    model = client.get_model_metadata("digits", "1")
    inputs = model["inputs"] if module is http else model.inputs
    names = [(it["name"] if module is http else it.name) for it in inputs]
    assert names == ["input", "image"], names
    config = client.get_model_config("digits")
    config = config if module is http else config.config
    largest = config["max_batch_size"] if module is http else config.max_batch_size
    assert largest == 8, config
    index = client.get_model_repository_index()
    assert (index if module is http else index.models), index
    for binary in (True, False) if module is http else (True,):
        infer(module, client, binary)
    stats = client.get_inference_statistics("digits")
    stats = (stats["model_stats"] if module is http else stats.model_stats)[0]
    count = stats["inference_count"] if module is http else stats.inference_count
    assert count > 0, stats
    assert "no output" in refused(client, module, "digits")
    assert "no model" in refused(client, module, "dogs")
    client.close()

compressed = http.InferenceServerClient(http_address)
image = http.InferInput("image", list(pixels.shape), "UINT8")
image.set_data_from_numpy(pixels, binary_data=True)
options = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
result = compressed.infer("digits", [image], **options)
np.testing.assert_allclose(result.as_numpy("logits"), wanted, atol=1e-4)
print("every answer was as expected")
