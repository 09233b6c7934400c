"""Frozen linear layers give what plain ones give, and gradients to their input alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from charter.models.frozen import FrozenLinear, freeze

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN"
)


def layer(*, bias: bool) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(24, 40, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(24,), (1, 24), (3, 5, 24), (0, 24)])
def test_it_gives_what_a_plain_layer_gives(
    packed: bool, bias: bool, shape: tuple[int, ...]
) -> None:
    plain, x = layer(bias=bias), torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(FrozenLinear(plain, packed=packed)(x), plain(x))


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_reach_the_input(bias: bool) -> None:
    plain = layer(bias=bias)
    found = []
    for one in (plain, FrozenLinear(plain, packed=False)):
        x = torch.linspace(-1, 1, 6 * 24).reshape(2, 3, 24).requires_grad_()
        one(x).pow(2).sum().backward()
        assert x.grad is not None
        found.append(x.grad)
    torch.testing.assert_close(found[1], found[0])
    assert plain.weight.grad is None


def test_only_layers_without_gradient_are_replaced() -> None:
    net = nn.Sequential(layer(bias=False), nn.ReLU(), nn.Linear(40, 2))
    net[2].weight.requires_grad_(True)
    freeze(net, packed=False)
    assert isinstance(net[0], FrozenLinear) and not isinstance(net[2], FrozenLinear)


def test_weights_are_shared_and_named_as_before() -> None:
    net = nn.Sequential(layer(bias=True))
    before = dict(net.state_dict())
    freeze(net, packed=True)
    after = dict(net.state_dict())
    assert list(before) == list(after)
    assert all(before[name].data_ptr() == after[name].data_ptr() for name in before)


def test_other_number_formats_stay_as_they_are() -> None:
    net = nn.Sequential(layer(bias=True).to(torch.float64))
    freeze(net, packed=True)
    assert type(net[0]) is nn.Linear
