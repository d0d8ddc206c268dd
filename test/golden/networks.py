"""The networks with goldens: torchvision's ten builders, and ResNets that torchvision cannot build.

A `configuration` is what the TypeScript constructor takes: block, layers and the options by their names there.
"""

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet, conv1x1, conv3x3

BUILDERS = (
    'resnet18',
    'resnet34',
    'resnet50',
    'resnet101',
    'resnet152',
    'resnext50_32x4d',
    'resnext101_32x8d',
    'resnext101_64x4d',
    'wide_resnet50_2',
    'wide_resnet101_2',
)

CONFIGURATIONS = {
    'basic-zero-pad': ('BasicBlock', [1, 2, 1, 1], {'shortcut': 'zero-pad', 'numClasses': 7}),
    'bottleneck-zero-pad': ('Bottleneck', [2, 1, 1, 1], {'shortcut': 'zero-pad', 'numClasses': 11}),
    'basic-projection-all': ('BasicBlock', [2, 1, 2, 1], {'shortcut': 'projection-all', 'numClasses': 5}),
    'bottleneck-projection-all': ('Bottleneck', [1, 2, 1, 1], {'shortcut': 'projection-all', 'numClasses': 33}),
    'basic-plain': ('BasicBlock', [2, 1, 1, 2], {'shortcut': 'none', 'numClasses': 3}),
    'bottleneck-plain': ('Bottleneck', [1, 1, 2, 1], {'shortcut': 'none', 'numClasses': 10}),
    'dilated': ('Bottleneck', [1, 2, 2, 2], {'replaceStrideWithDilation': [False, True, True], 'numClasses': 21}),
    'groups-of-20': ('Bottleneck', [1, 1, 2, 1], {'groups': 8, 'widthPerGroup': 20, 'numClasses': 9}),
    'groups-dilated': (
        'Bottleneck',
        [1, 2, 1, 2],
        {'groups': 3, 'widthPerGroup': 24, 'replaceStrideWithDilation': [True, False, True], 'numClasses': 13},
    ),
    'depthwise': ('Bottleneck', [1, 1, 1, 1], {'groups': 64, 'widthPerGroup': 1, 'numClasses': 6}),
    'cifar-resnet20': ('BasicBlock', [3, 3, 3], {'stem': 'cifar', 'shortcut': 'zero-pad', 'numClasses': 10}),
    'cifar-projection': ('BasicBlock', [2, 1, 2], {'stem': 'cifar', 'numClasses': 10}),
    'cifar-bottleneck': ('Bottleneck', [2, 2, 1], {'stem': 'cifar', 'shortcut': 'zero-pad', 'numClasses': 100}),
}


class ZeroPad(nn.Module):
    """The paper's option A: every `stride`-th pixel, and zero channels appended at the end."""

    def __init__(self, stride: int, extra_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra_channels = extra_channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra_channels))


class PlainBasicBlock(BasicBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)))


class PlainBottleneck(Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)))


BLOCKS = {'BasicBlock': BasicBlock, 'Bottleneck': Bottleneck}
PLAIN_BLOCKS = {'BasicBlock': PlainBasicBlock, 'Bottleneck': PlainBottleneck}


class FlexibleResNet(ResNet):
    """torchvision's ResNet with a choice of shortcut."""

    def __init__(self, block: str, layers: list[int], shortcut: str = 'projection', **options) -> None:
        self.shortcut = shortcut
        blocks = PLAIN_BLOCKS if shortcut == 'none' else BLOCKS
        super().__init__(blocks[block], layers, **options)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False) -> nn.Sequential:
        in_channels = self.inplanes
        # torchvision's own rule for when a stage that dilates keeps its stride.
        stage_stride = 1 if dilate else stride
        layer = super()._make_layer(block, planes, blocks, stride, dilate)
        for index, member in enumerate(layer):
            first = index == 0
            member.downsample = self._shortcut(
                member.downsample,
                in_channels if first else self.inplanes,
                stage_stride if first else 1,
            )
        return layer

    def _shortcut(self, projection: nn.Module | None, in_channels: int, stride: int) -> nn.Module | None:
        if self.shortcut == 'projection-all':
            return projection or nn.Sequential(
                conv1x1(in_channels, self.inplanes, stride), nn.BatchNorm2d(self.inplanes)
            )
        if self.shortcut == 'zero-pad' and projection is not None:
            return ZeroPad(stride, self.inplanes - in_channels)
        return None if self.shortcut == 'none' else projection


class CifarResNet(FlexibleResNet):
    """The paper's form for 32×32 pictures: a 3×3 stem, no pooling, three stages of 16, 32 and 64."""

    def __init__(self, block: str, layers: list[int], num_classes: int, **options) -> None:
        # Built with a fourth stage, which costs nothing and is dropped.
        super().__init__(block, [*layers, 1], num_classes=num_classes, **options)
        expansion = BLOCKS[block].expansion
        self.inplanes = 16
        self.conv1 = conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._make_layer(type(self.layer1[0]), 16, layers[0])
        self.layer2 = self._make_layer(type(self.layer2[0]), 32, layers[1], stride=2)
        self.layer3 = self._make_layer(type(self.layer3[0]), 64, layers[2], stride=2)
        self.fc = nn.Linear(64 * expansion, num_classes)
        del self.maxpool, self.layer4

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.avgpool(x), 1))


OPTION_NAMES = {
    'numClasses': 'num_classes',
    'groups': 'groups',
    'widthPerGroup': 'width_per_group',
    'replaceStrideWithDilation': 'replace_stride_with_dilation',
    'shortcut': 'shortcut',
}


def build_configuration(block: str, layers: list[int], options: dict) -> ResNet:
    network = CifarResNet if options.get('stem') == 'cifar' else FlexibleResNet
    return network(block, layers, **{OPTION_NAMES[k]: v for k, v in options.items() if k != 'stem'})


def build(name: str) -> ResNet:
    """The named network with parameters and buffers that nobody has set to anything of interest yet."""
    if name in BUILDERS:
        return torchvision.models.get_model(name, weights=None)
    return build_configuration(*CONFIGURATIONS[name])
