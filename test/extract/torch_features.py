"""The features that torchvision computes of image files, from the weights of a .safetensors file.

    python torch_features.py ARCH WEIGHTS NODE,NODE OUT-FOLDER IMAGE…

Writes OUT-FOLDER/NODE.npy for each node, in float32.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms._presets import ImageClassification

arch, weights, nodes, out, *images = sys.argv[1:]
model = torchvision.models.get_model(arch).eval()
model.load_state_dict(load_file(weights))
extractor = create_feature_extractor(model, nodes.split(","))
transform = ImageClassification(crop_size=224)
with torch.inference_mode():
    batch = torch.stack([transform(Image.open(image).convert("RGB")) for image in images])
    for node, features in extractor(batch).items():
        np.save(Path(out) / f"{node}.npy", features.numpy())
