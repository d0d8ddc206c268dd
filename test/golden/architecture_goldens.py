"""Writes `architectures.json`: state-dict keys and shapes of every network, and torchvision's node names."""

import json
from pathlib import Path

from torchvision.models.feature_extraction import get_graph_node_names

from networks import BUILDERS, CONFIGURATIONS, build


def describe(name: str) -> dict:
    network = build(name)
    described = {
        'parameters': sum(p.numel() for p in network.parameters()),
        'stateDict': [[key, list(tensor.shape)] for key, tensor in network.state_dict().items()],
    }
    if name in BUILDERS:
        # The second list is the one of eval mode.
        described['nodes'] = get_graph_node_names(network)[1]
    return described


def write_architectures(file: Path) -> None:
    lines = [
        f'{json.dumps(name)}: {json.dumps(describe(name), separators=(",", ":"))}'
        for name in [*BUILDERS, *CONFIGURATIONS]
    ]
    file.write_text('{\n' + ',\n'.join(lines) + '\n}\n')
