"""Writes `networks/`: batch-norm statistics measured on pictures, logits and features, all computed in float64."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn
import torchvision
from safetensors.numpy import save_file
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from torchvision.models.resnet import ResNet

from networks import BUILDERS, CONFIGURATIONS, build
from pictures import INPUTS, calibration_pictures, input_pictures, normalise
from seeded import seeded_parameter, seeded_parameters

# The first input of a network is also the size its statistics are measured at.
BUILDER_INPUTS = {
    'resnet18': ['photos-224x224', 'photos-97x131', 'photos-5x3'],
    'resnet50': ['photos-224x224', 'photos-97x131'],
    'resnext50_32x4d': ['photos-224x224', 'photos-31x45'],
}
CONFIGURATION_INPUTS = {
    'basic-plain': ['photos-97x131'],
    'bottleneck-plain': ['photos-97x131'],
    'dilated': ['photos-97x131'],
    'groups-dilated': ['photos-97x131'],
    'cifar-resnet20': ['photos-32x32', 'photos-31x45'],
    'cifar-projection': ['photos-31x45'],
    'cifar-bottleneck': ['photos-32x32'],
}

SAMPLES = 1024


def inputs_of(name: str) -> list[str]:
    if name in BUILDERS:
        return BUILDER_INPUTS.get(name, ['photos-224x224'])
    return CONFIGURATION_INPUTS.get(name, ['photos-64x80'])


def set_seeded_parameters(network: ResNet) -> None:
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    parameters = {name: torch.from_numpy(p) for name, p in seeded_parameters(shapes).items()}
    network.load_state_dict(parameters, strict=False)


def measure_statistics(network: ResNet, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Sets each batch norm's mean and variance to those of one pass over pictures, rounded to float32."""
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    network(torch.from_numpy(normalise(pixels)))
    network.eval()
    statistics = {}
    for name, buffer in network.named_buffers():
        if not name.endswith('num_batches_tracked'):
            statistics[name] = buffer.numpy().astype(np.float32)
            buffer.copy_(torch.from_numpy(statistics[name]))
    return statistics


def feature_nodes(nodes: list[str]) -> list[str]:
    """Nodes inside and at the end of fused chains, the last of each stage, and what follows the stages."""
    wanted = ['conv1', 'bn1', 'maxpool', 'layer1.0.relu', 'layer1.0.bn2', 'layer2.0.conv1', 'layer2.0.add']
    stages = [f'layer{i}.' for i in (1, 2, 3, 4)]
    last = [[n for n in nodes if n.startswith(stage)][-1:] for stage in stages]
    return [n for n in wanted if n in nodes] + [n for stage in last for n in stage] + ['avgpool', 'fc']


def next_prime(n: int) -> int:
    while any(n % d == 0 for d in range(2, int(n**0.5) + 1)):
        n += 1
    return n


def sample_stride(size: int) -> int:
    """1 where all values are kept; else a prime, so that samples do not keep to one column or channel."""
    return 1 if size <= SAMPLES else next_prime(max(2, -(-size // SAMPLES)))


def worst(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def make_case(network: ResNet, input_name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """The index entry of one input, and its tensors; the network is in float64 and stays so."""
    nodes = feature_nodes(get_graph_node_names(network)[1])
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # or it would overwrite the feature before it, which is asked for too
    extractor = create_feature_extractor(network, nodes)
    x = torch.from_numpy(normalise(input_pictures(input_name)))
    outputs, tensors = {}, {}
    for node, value in extractor(x).items():
        flat = value.numpy().reshape(-1)
        stride = 1 if node == 'fc' else sample_stride(flat.size)
        outputs[node] = {'shape': list(value.shape), 'stride': stride}
        tensors[f'{input_name}/{node}'] = flat[::stride].copy()
    logits = tensors[f'{input_name}/fc'].reshape(outputs['fc']['shape'])
    single = network.float()(x.float()).double().numpy()
    network.double()
    return {
        'input': input_name,
        # How far an answer that ignores the picture would be off, and how far float32 in torch is.
        'constantError': round(worst(logits - logits.mean(axis=0)) / worst(logits), 4),
        'float32Error': float(f'{worst(single - logits) / worst(logits):.2g}'),
        'outputs': outputs,
    }, tensors


def parameter_hashes(network: ResNet) -> dict[str, str]:
    """SHA-256 of the float32 bytes of a few parameters, at which both generators are compared."""
    parameters = dict(network.named_parameters())
    names = list(parameters)
    chosen = names[:3] + names[len(names) // 2 : len(names) // 2 + 3] + ['fc.weight', 'fc.bias']
    return {name: sha256(parameters[name].numpy()) for name in chosen}


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def describe_network(name: str) -> dict:
    if name in BUILDERS:
        return {'builder': name}
    block, layers, options = CONFIGURATIONS[name]
    return {'block': block, 'layers': layers, 'options': options}


@torch.no_grad()
def make_network(name: str, folder: Path) -> dict:
    network = build(name)
    set_seeded_parameters(network)
    hashes = parameter_hashes(network)
    network.double()
    inputs = inputs_of(name)
    tensors = measure_statistics(network, calibration_pictures(inputs[0]))
    cases = []
    for input_name in inputs:
        case, expected = make_case(network, input_name)
        cases.append(case)
        tensors.update(expected)
    save_file(tensors, folder / f'{name}.safetensors')
    return {**describe_network(name), 'sha256': hashes, 'cases': cases}


def write_network_goldens(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    networks = {}
    for name in [*BUILDERS, *CONFIGURATIONS]:
        networks[name] = make_network(name, folder)
        for case in networks[name]['cases']:
            print(name, case['input'], 'constant', case['constantError'], 'float32', case['float32Error'])
    save_file({name: input_pictures(name) for name in INPUTS}, folder / 'inputs.safetensors')
    lines = [f'  {json.dumps(name)}: {json.dumps(described)}' for name, described in networks.items()]
    made_with = json.dumps({'torch': torch.__version__, 'torchvision': torchvision.__version__})
    text = '{\n "madeWith": ' + made_with + ',\n "networks": {\n' + ',\n'.join(lines) + '\n }\n}\n'
    (folder / 'index.json').write_text(text)


def check_seeded_parameters(folder: Path) -> None:
    """Compares the generator with the committed hashes: it must never change by accident."""
    networks = json.loads((folder / 'networks' / 'index.json').read_text())['networks']
    architectures = json.loads((folder / 'architectures.json').read_text())
    checked = 0
    for name, network in networks.items():
        shapes = dict(architectures[name]['stateDict'])
        for parameter, expected in network['sha256'].items():
            if sha256(seeded_parameter(parameter, shapes[parameter])) != expected:
                raise ValueError(f'{name} {parameter}: the generator gives other bits than the committed hash says')
            checked += 1
    print(f'{checked} parameters agree with their committed hashes')
