"""Frozen linear layers give what plain ones give, and gradients to their input alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from charter.models.frozen import FrozenLinear, PackedLinear, freeze, pack

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN"
)
KINDS = [FrozenLinear, PackedLinear]


def layer(*, bias: bool) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(24, 40, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(24,), (1, 24), (3, 5, 24), (0, 24)])
def test_it_gives_what_a_plain_layer_gives(
    kind: type[nn.Module], bias: bool, shape: tuple[int, ...]
) -> None:
    plain, x = layer(bias=bias), torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(kind(plain)(x), plain(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_reach_the_input(kind: type[nn.Module], bias: bool) -> None:
    plain = layer(bias=bias)
    found = []
    for one in (plain, kind(plain)):
        x = torch.linspace(-1, 1, 6 * 24).reshape(2, 3, 24).requires_grad_()
        one(x).pow(2).sum().backward()
        assert x.grad is not None
        found.append(x.grad)
    torch.testing.assert_close(found[1], found[0])
    assert plain.weight.grad is None


@pytest.mark.parametrize("put", [freeze, pack])
def test_only_layers_without_gradient_are_replaced(put: object) -> None:
    net = nn.Sequential(layer(bias=False), nn.ReLU(), nn.Linear(40, 2))
    assert callable(put)
    put(net)
    assert isinstance(net[0], FrozenLinear | PackedLinear) and type(net[2]) is nn.Linear


def test_frozen_weights_are_shared_and_named_as_before() -> None:
    net = nn.Sequential(layer(bias=True))
    before = dict(net.state_dict())
    freeze(net)
    after = dict(net.state_dict())
    assert list(before) == list(after)
    assert all(before[name].data_ptr() == after[name].data_ptr() for name in before)


def test_packed_weights_can_be_read_and_not_saved() -> None:
    plain = layer(bias=True)
    net = nn.Sequential(plain)
    pack(net)
    assert torch.equal(net[0].weight, plain.weight)
    with pytest.raises(RuntimeError, match="plain=True"):
        net.state_dict()


def test_a_tied_layer_is_not_copied() -> None:
    net = nn.Sequential(nn.Embedding(40, 24), layer(bias=False)).requires_grad_(False)
    net[1].weight = net[0].weight
    pack(net)
    assert isinstance(net[1], FrozenLinear) and net[1].weight is net[0].weight


def test_other_number_formats_stay_as_they_are() -> None:
    net = nn.Sequential(layer(bias=True).to(torch.float64))
    pack(net)
    assert type(net[0]) is nn.Linear
