"""Print what the embedded critic makes of prompts that it was not trained on, for a person to read.

python tools/read_critic.py [--count 24] [--rounds 2] [--direct]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from train_critic import START, split

from charter.constitution import document
from charter.critique import CritiqueDeps, run
from charter.models import hf
from charter.models.library import CRITIC, folder_of
from charter.prompts.chains import worked_chains
from charter.recipe import load
from charter.records import Dropped, Message, Prompt, RevisionChain
from charter.store import DROPPED, RunFolder


def main() -> None:
    """Run the critique stage of the embedded recipe on held-out prompts, and print the chains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--direct", action="store_true")
    options = parser.parse_args()
    arms = ["direct"] if options.direct else ["critique"]
    recipe = load("embedded", [f"critique.rounds={options.rounds}", f"critique.arms={arms}"])
    with tempfile.TemporaryDirectory() as scratch, hf.quiet_loading():
        folder = RunFolder(Path(scratch)).stage("critique", "read")
        critic = hf.load("embedded", adapters=[folder_of(CRITIC)])
        deps = CritiqueDeps(hf.load(START.base), critic, folder)
        prompts = held_out_prompts(options.count)
        run(prompts, document.load("default"), recipe.critique, deps=deps)
        show(folder.log(RevisionChain), folder.log(Dropped, DROPPED))


def held_out_prompts(count: int) -> list[Prompt]:
    """Prompts of the chains that training left out."""
    _, held = split(worked_chains(), count)
    return [Prompt(c.id, (Message("user", c.prompt),), "redteam", c.category) for c in held]


def show(chains: object, dropped: object) -> None:
    """Print chains and what was dropped."""
    for number, chain in enumerate(chains, 1):  # type: ignore[call-overload]
        print(f"\n{number}. {chain.prompt.messages[-1].content}\n   draft: {chain.draft}")
        for step in chain.steps:
            print(f"   [{step.principle}] {step.critique}\n   -> {step.revision}")
    for record in dropped:  # type: ignore[attr-defined]
        print("dropped:", record.id, record.reason)


if __name__ == "__main__":
    main()
