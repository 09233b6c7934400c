"""Linear layers whose weights do not move, multiplied by oneDNN on the CPU.

Owns the choice of the matrix product. PyTorch sends float32 products on the CPU to MKL, which is
slower on processors that are not its maker's; oneDNN is at least as fast on all that we tried (the
embedded model, one thread of an AMD EPYC: 1.35 times the tokens scored a second, 1.2 times those
sampled). Results differ by rounding only. Knows nothing of what the layers are part of.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_OPS = torch.ops.mkldnn
_ROWS = 512
"""Rows of a product that packed weights are laid out for; others work, a little slower."""


class FrozenLinear(nn.Linear):
    """A linear layer that shares the weights of another one and gives them no gradient.

    Args:
        linear: whose weights.
    """

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """See `nn.Linear`; gradients reach the input only."""
        if torch.is_grad_enabled() and input.requires_grad:
            out: torch.Tensor = _Product.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return out
        return _product(input.detach(), self.weight.detach(), self.bias)


class PackedLinear(nn.Module):
    """A linear layer for inference that holds its weights as the processor likes them, only so.

    Args:
        linear: whose weights; it may be thrown away afterwards.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._packed = _OPS._reorder_linear_weight(linear.weight.detach(), _ROWS)

    @property
    def weight(self) -> torch.Tensor:
        """A copy of the weights [out, in] as they were; changing it changes nothing."""
        dense: torch.Tensor = self._packed.to_dense()
        return dense

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """See `nn.Linear`; gradients reach the input only."""
        if torch.is_grad_enabled() and input.requires_grad:
            out: torch.Tensor = _Product.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return out
        return _product(input.detach(), self._packed, self.bias)

    def _save_to_state_dict(self, *_: Any) -> None:
        raise RuntimeError("packed weights cannot be saved: load the model with plain=True")


class _Product(torch.autograd.Function):
    """x W' + b, and the gradient of x."""

    @staticmethod
    def forward(
        ctx: Any, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(weight)
        return _product(input, weight.detach(), bias)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _product(grads[0], weight.detach().t(), None), None, None


def freeze(net: nn.Module) -> None:
    """Put `FrozenLinear` in place of the linear layers that have no gradient, where it can serve.

    Args:
        net: changed in place; nothing happens on a GPU, in other number formats, or where PyTorch
            was built without oneDNN.
    """
    for name, module in list(net.named_modules()):
        if type(module) is nn.Linear and _serves(module.weight):
            net.set_submodule(name, FrozenLinear(module))


def pack(net: nn.Module) -> None:
    """The same with `PackedLinear`: faster, and the network can no longer be trained or saved.

    Layers that share their weights with others (a head tied to the embeddings) are left out, since
    their copy would come on top.
    """
    uses = _uses(net)
    for name, module in list(net.named_modules()):
        if type(module) is nn.Linear and _serves(module.weight):
            tied = uses[id(module.weight)] > 1
            net.set_submodule(name, FrozenLinear(module) if tied else PackedLinear(module))
    for parameter in net.parameters():
        # A view of the file that they were all read from would keep the whole of it in memory.
        parameter.data = parameter.data.clone()


def _uses(net: nn.Module) -> dict[int, int]:
    uses: dict[int, int] = {}
    for _, parameter in net.named_parameters(remove_duplicate=False):
        uses[id(parameter)] = uses.get(id(parameter), 0) + 1
    return uses


def _serves(weight: torch.Tensor) -> bool:
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and not weight.requires_grad and _available()


def _available() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _product(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    bias = None if bias is None else bias.detach()
    out: torch.Tensor = _OPS._linear_pointwise(input, weight, bias, "none", [], "")
    return out
