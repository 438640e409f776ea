"""EfficientNet-Lite0: mobile convolutions without squeeze-and-excite, ReLU6 (Tan and Le 2019; Lite: Liu 2020).

The names of the weights are those of lukemelas' EfficientNet-PyTorch. Batch norms are folded into their convolutions
while the weights are read, so what is left is convolutions with a bias.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tailorbird.bodies import base
from tailorbird.errors import BadBody
from tailorbird.types import BodyFolder

# repeats, kernel, stride of the first repeat, growth of the hidden width, input width, output width
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
_EPSILON = 1e-3  # of the batch norms; TensorFlow's default, not torch's
_INNER = (4, 10)  # ends of the stages of stride 8 and 16: the last blocks before their grids are halved
_STRIDE = 32  # of the whole body; the fixed padding below equals TensorFlow's SAME at multiples of it only


def build(body: BodyFolder) -> base.Body:
    """The body, its batch norms folded. settings: pixel_mean, pixel_std on the scale 0 to 255."""
    weights = base.tensors(body)
    try:
        return EfficientNetLite(weights, base.Pixels(body.settings))
    except KeyError as error:
        raise base.absent(body, [str(error.args[0])]) from error
    except RuntimeError as error:  # torch's word for a weight of another shape
        raise BadBody(f"{body.spelling} is no EfficientNet-Lite0: {error}", base.again(body)) from error


class EfficientNetLite(base.Body):
    """Features: global means after blocks 4 and 10 and after the last convolution."""

    depths = (("block4", 40), ("block10", 112), ("last", 1280))
    axes = base.PICTURE_AXES

    def __init__(self, weights: Mapping[str, Tensor], pixels: base.Pixels) -> None:
        super().__init__()
        self.pixels = pixels
        self.stem = Conv(weights, "_conv_stem", "_bn0", (3, 32), kernel=3, stride=2)
        self.blocks = nn.ModuleList(_blocks(weights))
        self.head = Conv(weights, "_conv_head", "_bn1", (320, 1280))

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, h, w, 3) uint8, h and w multiples of 32 -> (b, 1432)."""
        height, width = pixels.shape[1:3]
        if height % _STRIDE or width % _STRIDE:
            problem = f"EfficientNet-Lite needs sides that are multiples of {_STRIDE}, and got {height} x {width}"
            raise BadBody(problem, "choose such a size: --modality image:size=224")
        x = F.relu6(self.stem(self.pixels(pixels)))
        pooled = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _INNER:
                pooled.append(x.mean((2, 3)))
        pooled.append(F.relu6(self.head(x)).mean((2, 3)))
        return torch.cat(pooled, 1)

    def weights(self) -> dict[str, Tensor]:
        """Under the published names, with batch norms that change nothing."""
        convs = [module for module in self.modules() if isinstance(module, Conv)]
        return {name: tensor for conv in convs for name, tensor in conv.published().items()}


class Block(nn.Module):
    """Widen, filter each channel, narrow; with a shortcut where the shape stays."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, shape: tuple[int, int, int], kernel: int, stride: int):
        super().__init__()
        before, hidden, after = shape
        self.shortcut = stride == 1 and before == after
        wide = hidden != before
        self.expand = Conv(weights, f"{name}._expand_conv", f"{name}._bn0", (before, hidden)) if wide else None
        self.filter = Conv(
            weights, f"{name}._depthwise_conv", f"{name}._bn1", (hidden, hidden), kernel, stride, groups=hidden
        )
        self.narrow = Conv(weights, f"{name}._project_conv", f"{name}._bn2", (hidden, after))

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        y: Tensor = self.narrow(F.relu6(self.filter(hidden)))
        return x + y if self.shortcut else y


class Conv(nn.Conv2d):
    """A convolution with its batch norm folded in, padded as TensorFlow's SAME pads even sides.

    At stride 2 the total padding is odd and the greater half lies to the right and below."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        name: str,
        norm: str,
        widths: tuple[int, int],
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(*widths, kernel, stride, groups=groups)
        self.names = name, norm
        scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
        bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        weight = weights[f"{name}.weight"] * scale[:, None, None, None]
        self.load_state_dict({"weight": weight, "bias": bias})
        # Pixels arrive with their colours side by side, and torch's convolutions are faster when that stays so.
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        total = kernel - stride if stride > 1 else kernel - 1
        self.pad = (total // 2, total - total // 2) * 2  # left, right, top, bottom

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, self.pad) if any(self.pad) else x
        return F.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)

    def published(self) -> dict[str, Tensor]:
        """Weights that fold into this convolution again, to the last bit."""
        assert self.bias is not None, "it took the place of a batch norm"
        name, norm = self.names
        even = torch.ones_like(self.bias)
        folds = {"weight": torch.sqrt(even + _EPSILON), "bias": self.bias, "running_var": even}
        folds["running_mean"] = torch.zeros_like(self.bias)
        return {f"{name}.weight": self.weight, **{f"{norm}.{part}": tensor for part, tensor in folds.items()}}


def _blocks(weights: Mapping[str, Tensor]) -> list[Block]:
    blocks: list[Block] = []
    for repeats, kernel, stride, growth, before, after in _STAGES:
        for i in range(repeats):
            first = i == 0
            width = before if first else after
            name = f"_blocks.{len(blocks)}"
            blocks.append(Block(weights, name, (width, width * growth, after), kernel, stride if first else 1))
    return blocks
