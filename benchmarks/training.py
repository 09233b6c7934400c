"""SFT, preference model and DPO against TRL's own trainers: tokens a second and memory.

    python benchmarks/training.py [--json] [--examples 48] [--model embedded] [--rank 16]

Same model, conversations, adapter, batch size, optimiser and precision, one epoch. Each trainer
runs in a fresh process, the two sides by turns, so that peak memory is a trainer's own and a busy
minute falls on both; a rate is the median over `--repeats`. Tokens are those of prompts and
answers as this project cuts them, without padding, the same number for both sides.

TRL runs with its defaults but for two: float32 on a CPU, and no gradient checkpointing, which
would cost it a third of its speed (`--checkpointing` puts it back: less memory, and slower). The
clock runs from the first step to the last, with DPO's reference on both sides; loading, tokenising
and the centring of a preference model (at most 1000 answers, which TRL has no equal of) are out.

`matmul_fraction` is that of SFT: the floating-point operations that training cannot do without,
over the machine's matrix-product rate in the same run. `rss_ratio` is the largest of the three
ratios of peak memory, this project's over TRL's. `*_cpu_ratio` compares the processor
time of whole calls, loading and saving included: a check on `*_ratio` where the machine is shared.
No text may be longer than `--max-length`: TRL drops such pairs or cuts their answers.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from machine import matmul_rate, weights
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
)
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from charter.models import hf
from charter.prompts.chains import worked_chains
from charter.records import Checkpoint, Message
from charter.training.examples import ChatExample, PairExample, Tokeniser
from charter.training.policy import adapter_config
from charter.training.preference import train_preference
from charter.training.quiet import quiet
from charter.training.run import train_dpo, train_sft
from charter.training.settings import DPOSettings, TrainSettings

TASKS, SIDES = ("sft", "pm", "dpo"), ("charter", "trl")


def pairs(count: int) -> list[PairExample]:
    """Conversations of one to five turns and two answers of one to three paragraphs."""
    chains, found = [c for c in worked_chains() if c.kind == "harmful"], []
    for number in range(count):
        use = [chains[(7 * number + i) % len(chains)] for i in range(5)]
        talk = [m for c in use[3 : 3 + number % 3] for m in _exchange(c.prompt, c.revision)]
        texts = use[: 1 + number % 2 * 2]
        a = "\n\n".join(c.revision for c in texts)
        b = "\n\n".join(c.draft for c in texts)
        found.append(PairExample((*talk, Message("user", use[0].prompt)), a, b, 1.0))
    return found


def _exchange(user: str, assistant: str) -> tuple[Message, Message]:
    return Message("user", user), Message("assistant", assistant)


def settings(options: argparse.Namespace) -> TrainSettings:
    """What both sides train with."""
    return TrainSettings(
        learning_rate=1e-4,
        warmup_ratio=0.0,
        schedule="linear",
        lora_rank=options.rank,
        batch_size=options.batch,
        max_length=options.max_length,
    )


def with_charter(task: str, options: argparse.Namespace, out: Path) -> tuple[float, int]:
    """Seconds and tokens of this project's trainer."""
    start, data, chosen = Checkpoint(options.model), pairs(options.examples), settings(options)
    run: dict[str, Callable[[], Any]] = {
        "sft": lambda: train_sft(start, [ChatExample(p.messages, p.a) for p in data], chosen, out),
        "pm": lambda: train_preference(start, data, chosen, out),
        "dpo": lambda: train_dpo(start, data, chosen, DPOSettings(), out),
    }
    trained = run[task]()
    return trained.seconds, trained.tokens


def with_trl(task: str, options: argparse.Namespace, out: Path) -> tuple[float, int]:
    """Seconds of TRL's trainer; its tokens are not counted."""
    trainer = {"sft": _trl_sft, "pm": _trl_reward, "dpo": _trl_dpo}[task](options, out)
    trainer.remove_callback(PrinterCallback)
    started = time.monotonic()
    trainer.train()
    return time.monotonic() - started, 0


def _trl_sft(options: argparse.Namespace, out: Path) -> Any:
    net = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    rows = [{"prompt": _turns(p), "completion": _answer(p.a)} for p in pairs(options.examples)]
    return SFTTrainer(**_common(SFTConfig, net, rows, options, out, "CAUSAL_LM"))


def _trl_reward(options: argparse.Namespace, out: Path) -> Any:
    net = AutoModelForSequenceClassification.from_pretrained(
        options.model, dtype=torch.float32, num_labels=1
    )
    rows = _preferences(options.examples)
    return RewardTrainer(**_common(RewardConfig, net, rows, options, out, "SEQ_CLS"))


def _trl_dpo(options: argparse.Namespace, out: Path) -> Any:
    net = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    rows = _preferences(options.examples)
    return DPOTrainer(**_common(DPOConfig, net, rows, options, out, "CAUSAL_LM"))


def _preferences(count: int) -> list[dict[str, Any]]:
    return [
        {"prompt": _turns(p), "chosen": _answer(p.a), "rejected": _answer(p.b)}
        for p in pairs(count)
    ]


def _turns(pair: PairExample) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in pair.messages]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _common(
    config: Any, net: Any, rows: list[Any], options: argparse.Namespace, out: Path, task: str
) -> dict[str, Any]:
    """What all of TRL's trainers are given: this project's settings in TRL's names."""
    ours, cuda = settings(options), torch.cuda.is_available()
    adapter: LoraConfig | None = adapter_config(net, ours, task=task) if ours.lora_rank else None
    arguments = config(
        output_dir=str(out),
        learning_rate=ours.learning_rate,
        lr_scheduler_type="linear",
        num_train_epochs=1,
        per_device_train_batch_size=ours.batch_size,
        max_length=ours.max_length,
        gradient_checkpointing=options.checkpointing,
        bf16=cuda,
        use_cpu=not cuda,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
    )
    return {
        "model": net,
        "args": arguments,
        "train_dataset": Dataset.from_list(rows),
        "processing_class": AutoTokenizer.from_pretrained(options.model),
        "peft_config": adapter,
    }


def work(options: argparse.Namespace) -> dict[str, float]:
    """One trainer, measured in this process."""
    task, _, side = options.work.partition(":")
    run = with_charter if side == "charter" else with_trl
    with tempfile.TemporaryDirectory() as folder, quiet():
        before = time.process_time()
        seconds, tokens = run(task, options, Path(folder))
        cpu = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "cpu_seconds": cpu, "tokens": tokens, "rss_mb": peak / 1e6}


def apart(task: str, side: str, options: argparse.Namespace, folder: str) -> dict[str, float]:
    """One trainer, measured in a process of its own."""
    given = ["--model", folder, "--work", f"{task}:{side}"]
    for name in ("examples", "rank", "batch", "max_length"):
        given += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    given += ["--checkpointing"] if options.checkpointing else []
    command = [sys.executable, __file__, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{task}:{side} failed\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(options: argparse.Namespace) -> dict[str, float]:
    """All figures."""
    model = hf.load(options.model, plain=True)
    longest = max(map(len, Tokeniser.of(model, sys.maxsize).pairs(pairs(options.examples))))
    if longest > options.max_length:
        raise SystemExit(f"a text has {longest} tokens: --max-length must be at least that")
    flops_a_token = operations(model, options.rank)
    rates: list[float] = []
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        model.net.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        del model
        for task in TASKS:
            runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
            for _ in range(options.repeats):
                for side in SIDES:
                    rates.append(matmul_rate())
                    runs[side].append(apart(task, side, options, folder))
            found |= _compared(task, runs)
    rate = statistics.median(rates)
    ratios = {name: found[name] for name in (f"{task}_ratio" for task in TASKS)}
    return {
        **ratios,
        "matmul_fraction": found["sft_tokens_per_s"] * flops_a_token / rate,
        "rss_ratio": max(found[f"{task}_rss_ratio"] for task in TASKS),
        **{name: value for name, value in found.items() if name not in ratios},
        "matmul_gflops": rate / 1e9,
    }


def operations(model: hf.HFModel, rank: int) -> float:
    """Floating-point operations a token: forward, backward to states (to weights at rank 0).

    Two a weight of the blocks each; embeddings, the head, attention and adapters are left out.
    """
    return float((4 if rank else 6) * weights(model.backbone()))


def _compared(task: str, runs: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    def median(side: str, name: str) -> float:
        return statistics.median(run[name] for run in runs[side])

    tokens = median("charter", "tokens")
    ours, theirs = (tokens / median(side, "seconds") for side in SIDES)
    return {
        f"{task}_ratio": ours / theirs,
        f"{task}_cpu_ratio": median("trl", "cpu_seconds") / median("charter", "cpu_seconds"),
        f"{task}_tokens_per_s": ours,
        f"{task}_tokens_per_s_trl": theirs,
        f"{task}_tokens": tokens,
        f"{task}_rss_mb": median("charter", "rss_mb"),
        f"{task}_rss_mb_trl": median("trl", "rss_mb"),
        f"{task}_rss_ratio": median("charter", "rss_mb") / median("trl", "rss_mb"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--examples", type=int, default=48)
    parser.add_argument("--model", default="embedded", help="embedded, a hub name, or a folder")
    parser.add_argument("--rank", type=int, default=16, help="of the adapter; 0 trains all weights")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(work(options)))
        return
    with hf.quiet_loading():
        found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:32} {value:12.3f}")


if __name__ == "__main__":
    main()
