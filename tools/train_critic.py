"""Train the embedded critic from the chains that ship with the package.

    python tools/train_critic.py [--out DIR] [--passes 1] [--held-out 24]

Owns how a worked chain becomes conversations: critique then revision; a second look that finds
nothing to change; a direct revision. Every pass draws the variants anew, so
that the critic meets a text under more than one principle. Loss falls on the critic's turns only.
Chains held out by a hash of their id are never trained on: `tools/read_critic.py` shows them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from charter.constitution import document
from charter.constitution.document import Constitution, Principle
from charter.constitution.drawing import draw, relevant
from charter.critique import first_critique, first_revision
from charter.models.hf import HFModel
from charter.models.library import CRITIC, folder_of
from charter.prompts.chains import WorkedChain, worked_chains
from charter.prompts.templates import render, template
from charter.records import Checkpoint, Message, Prompt
from charter.seeds import derive, draws
from charter.training.gathered import GatheredLM
from charter.training.loop import fit
from charter.training.objectives import Batch, Imitation
from charter.training.policy import load_policy, save_weights
from charter.training.settings import TrainSettings

START = Checkpoint("embedded")
DIRECT, SECOND = 0.08, 0.22
"""Upper ends of the shares of direct revisions, and of second looks, in which the critic finds
nothing left to change. With praise in every third conversation, the critic praised two drafts of
three, whatever they said; so the first look at a draft is never answered with it."""
HARMLESS_SHARE = 1 / 3
"""Share of the harmless chains in one pass: what the critic is for is the harmful ones."""
OWN_SHARE = 0.5
"""How often a harmful chain keeps the principle it was written for. Otherwise one is drawn as a
run draws it, among those that its category cites and the general ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids of a conversation, and which of them are the critic's."""

    ids: tuple[int, ...]
    targets: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.ids)


class Conversations(Imitation):
    """Imitation of several turns of one conversation."""

    def collate(self, rows: Sequence[Row]) -> Batch:  # type: ignore[override]
        """Tensors [B, T], padded on the right."""
        width = max(len(row) for row in rows)
        batch = {
            "input_ids": torch.zeros(len(rows), width, dtype=torch.long),
            "attention_mask": torch.zeros(len(rows), width, dtype=torch.long),
            "target_mask": torch.zeros(len(rows), width, dtype=torch.bool),
        }
        for index, row in enumerate(rows):
            batch["input_ids"][index, : len(row)] = torch.tensor(row.ids)
            batch["attention_mask"][index, : len(row)] = 1
            batch["target_mask"][index, : len(row)] = torch.tensor(row.targets)
        return batch


def conversation(
    chain: WorkedChain, constitution: Constitution, number: int
) -> tuple[Message, ...]:
    """One variant of a chain, drawn by the chain's id and the number of the pass."""
    source = draws("critic", chain.id, number)
    prompt = Prompt(chain.id, (Message("user", chain.prompt),))
    principle = constitution.principle(chain.principle)
    if chain.kind == "harmful" and source.random() >= OWN_SHARE:
        principle = draw(relevant(constitution, chain.category), source)
    second = constitution.principle(chain.second_principle)
    system, kind = Message("system", template("critic_system")), source.random()
    if kind < DIRECT:
        asked = first_revision(prompt, chain.draft, principle)
        return (system, asked, Message("assistant", chain.revision))
    talk = (system, first_critique(prompt, chain.draft, principle), *_revised(chain, principle))
    return (*talk, *_second_look(chain, second)) if kind < SECOND else talk


def takes_part(chain: WorkedChain, number: int) -> bool:
    """Whether a harmless chain is in this pass: each is in one of three, in turn."""
    return (derive("part", chain.id) + number) % round(1 / HARMLESS_SHARE) == 0


def rows_of(model: HFModel, turns: Sequence[Message]) -> Row:
    """Token ids of a conversation, with the assistant's words and end of turn as targets."""
    ids: list[int] = []
    targets: list[bool] = []
    for index, turn in enumerate(turns):
        upto = model.render(turns[: index + 1], open_answer=False)
        fresh = len(upto) - len(ids)
        if turn.role == "assistant":
            header = len(model.render(turns[:index])) - len(ids)
            # The template writes a line break behind the end of turn; nobody generates it.
            targets += [False] * header + [True] * (fresh - header - 1) + [False]
        else:
            targets += [False] * fresh
        ids = upto
    return Row(tuple(ids), tuple(targets))


def halve(folder: Path) -> None:
    """Keep the adapter in float16: half the size, and merging rounds far below its noise."""
    file = folder / "adapter_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(file).items()}, file)
    # PEFT's own page says nothing; ours is CARD.md.
    (folder / "README.md").unlink(missing_ok=True)


def split(chains: Sequence[WorkedChain], count: int) -> tuple[list[WorkedChain], list[WorkedChain]]:
    """Training chains, and the `count` harmful ones held out by a hash of their id."""
    harmful = sorted((c for c in chains if c.kind == "harmful"), key=lambda c: derive("held", c.id))
    held = {chain.id for chain in harmful[:count]}
    return [c for c in chains if c.id not in held], harmful[:count]


def main() -> None:
    """Train, and write the adapter with what it was made from."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=folder_of(CRITIC))
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--held-out", type=int, default=24)
    options = parser.parse_args()
    settings = TrainSettings(learning_rate=8e-4, batch_size=2, lora_last_layers=20)
    constitution = document.load("default")
    trained, held = split(worked_chains(), options.held_out)
    model = load_policy(START, settings)
    rows = [
        rows_of(model, conversation(chain, constitution, number))
        for number in range(options.passes)
        for chain in trained
        if chain.kind == "harmful" or takes_part(chain, number)
    ]
    print(f"{len(rows)} conversations, {sum(map(len, rows))} tokens", flush=True)
    curve, seconds = fit(
        GatheredLM(model.net),
        Conversations(),
        rows,
        settings,
        out=options.out,
        job="critic",
        progress=lambda done, total, m: print(done, total, round(m["loss"], 3), flush=True),
    )
    save_weights(model.net, options.out)
    halve(options.out)
    made = {
        "chains": len(trained),
        "held_out": [chain.id for chain in held],
        "passes": options.passes,
        "first_loss": curve[0]["loss"],
        "last_loss": sum(row["loss"] for row in curve[-10:]) / len(curve[-10:]),
        "seconds": round(seconds),
    }
    (options.out / "made.json").write_text(json.dumps(made, indent=2) + "\n")


def _revised(chain: WorkedChain, principle: Principle) -> tuple[Message, ...]:
    return (
        Message("assistant", chain.critique),
        Message("user", render("revision", revision_request=principle.revision_request)),
        Message("assistant", chain.revision),
    )


def _second_look(chain: WorkedChain, principle: Principle) -> tuple[Message, ...]:
    asked = render("critique_next", critique_request=principle.critique_request)
    return (Message("user", asked), Message("assistant", chain.second_critique))


if __name__ == "__main__":
    main()
