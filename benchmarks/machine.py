"""What all benchmarks measure themselves against: the machine, in the same process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import psutil
import torch
from torch import nn

from charter.models.frozen import pack


def matmul_rate(size: int = 1536, repeats: int = 10) -> float:
    """Floating-point operations a second of a square float32 product."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    a @ b
    started = time.perf_counter()
    for _ in range(repeats):
        a @ b
    return 2 * size**3 * repeats / (time.perf_counter() - started)


def frozen_rate(size: int = 1536, repeats: int = 10) -> float:
    """As `matmul_rate`, of the product that a model loaded for inference uses (`models.frozen`)."""
    net = nn.Sequential(nn.Linear(size, size, bias=False).requires_grad_(False))
    pack(net)
    rows = torch.randn(size, size)
    with torch.inference_mode():
        net(rows)
        # All together, so that pauses on a busy machine count as they do in what is compared.
        taken = seconds(lambda: [net(rows) for _ in range(repeats)], 1)
    return 2 * size**3 * repeats / taken


def weights(net: nn.Module) -> int:
    """Weights of a network's linear layers, packed ones too; embeddings are none."""
    sized = (m for m in net.modules() if hasattr(m, "in_features") and hasattr(m, "out_features"))
    return sum(int(m.in_features) * int(m.out_features) for m in sized)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work`."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def rss_mb() -> float:
    """Resident memory of this process, in MB (10^6 bytes)."""
    return float(psutil.Process().memory_info().rss) / 1e6
