"""Trains in two processes with the weights in shards (FSDP2), on the CPU.

    python shards_job.py NAMES START OUT

accelerate shards on accelerators only. Here it is told that its processes have one, so that all of
its own code, and all of ours, runs as it would there. Every training starts twice: once to be cut
off after its first checkpoint, and once to go on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType
from torch.distributed.fsdp import FSDPModule

from charter.records import Checkpoint
from charter.training import processes, trainer

JOBS = runpy.run_path(str(Path(__file__).with_name("jobs.py")))
LAUNCHED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}
"""What `accelerate launch` says with `recipes/accelerate/fsdp.yaml`."""


class CutError(Exception):
    """What ends a training before its time."""


def main(names: str, start: str, out: str) -> None:
    os.environ.update(LAUNCHED)
    processes.join()
    units: list[int] = []
    make = trainer.ObjectiveTrainer.__init__
    log = trainer.ObjectiveTrainer.log

    def counted(self: Any, *args: Any, **more: Any) -> None:
        units.append(sum(isinstance(module, FSDPModule) for module in self.model.modules()))
        log(self, *args, **more)

    def made(self: Any, *args: Any, **more: Any) -> None:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
        make(self, *args, **more)

    def cut(done: int, total: int, metrics: Any) -> None:
        if done == 3:
            raise CutError

    trainer.ObjectiveTrainer.log = counted  # type: ignore[method-assign]
    trainer.ObjectiveTrainer.__init__ = made  # type: ignore[method-assign]
    for name in names.split(","):
        train, how = JOBS["JOBS"][name], JOBS["settings"](2, lora_rank=0 if name == "sft" else 4)
        folder = Path(out) / name
        with contextlib.suppress(CutError):
            train(Checkpoint(start), folder, how, cut)
        trained = train(Checkpoint(start), folder, how, JOBS["silent"])
        if processes.rank() == 0:
            about = {"curve": trained.curve, "units": min(units)}
            (Path(out) / f"{name}.json").write_text(json.dumps(about))
    processes.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
