# ruff: noqa: E501 - the lines of the page are prose
"""Write docs/tour.md: one prompt of a finished run, followed through every stage.

    python tools/make_tour.py RUN PROMPT_ID [--out docs/tour.md]

Every text and figure on the page is read from the run, or sampled from its checkpoints here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from charter.constitution.document import Constitution, Principle
from charter.evaluate.scorers import ComplianceScorer
from charter.models import hf
from charter.preference import reward_model
from charter.prompts.cleaning import says_nothing_to_change
from charter.readout.features import FeatureReader
from charter.readout.library import COMPLIANCE, shipped
from charter.recipe import Recipe
from charter.records import (
    Checkpoint,
    Demonstration,
    Labelled,
    Prompt,
    Request,
    RevisionChain,
    Step,
    Verdict,
)
from charter.seeds import derive
from charter.store import StageFolder

HEAD = """# A tour: one prompt through every stage

This page follows one red-team prompt through a whole run of `make demo` (recipe `{recipe}`, seed
{seed}, constitution `{digest}`). Every text below is what the embedded model, SmolLM2-135M-Instruct,
really produced, with its flaws; the page is written from the run's own records by
`python tools/make_tour.py {run} {prompt}`. You can walk the same way back from any record with
`charter show RECORD_ID --run {run}`.
"""


class Tour:
    """Reads a run folder and says what happened to one prompt."""

    def __init__(self, run: Path, prompt_id: str) -> None:
        self.run, self.prompt_id = run, prompt_id
        self.recipe = msgspec.json.decode((run / "recipe.json").read_bytes(), type=Recipe)
        document = (run / "constitution.json").read_bytes()
        self.constitution = msgspec.json.decode(document, type=Constitution)

    def text(self) -> str:
        """The whole page."""
        chain = self._one("critique", RevisionChain, lambda r: r.prompt.id)
        labelled = self._one("feedback", Labelled, lambda r: r.comparison.prompt.id)
        parts = [
            HEAD.format(
                recipe=self.recipe.name,
                seed=self.recipe.seed,
                digest=self.constitution.digest,
                run=self.run,
                prompt=self.prompt_id,
            ),
            self._prompt(chain.prompt),
            self._chain(chain),
            self._demonstrations(chain),
            self._label(labelled),
            self._preference(labelled),
            self._models(chain.prompt),
        ]
        return "\n".join(parts)

    def _prompt(self, prompt: Prompt) -> str:
        return f"""## 1. The prompt

`{prompt.id}`, category `{prompt.category}`, split `{prompt.split}`:

{quote(prompt.messages[-1].content)}
"""

    def _chain(self, chain: RevisionChain) -> str:
        lines = [
            "## 2. Draft, critique, revision (`charter critique`)",
            "",
            "The start model answers. What comes back is the *draft*:",
            "",
            quote(chain.draft),
        ]
        for number, step in enumerate(chain.steps, 1):
            principle = self.constitution.principle(step.principle)
            lines += [
                "",
                f"Round {number}. The principle drawn is `{principle.id}`: {principle.text} The "
                f"critic is asked: *{principle.critique_request}* It answers:",
                "",
                quote(step.critique),
                "",
                *self._revised(step, principle),
            ]
        return "\n".join([*lines, ""])

    def _revised(self, step: Step, principle: Principle) -> list[str]:
        if says_nothing_to_change(step.critique):
            return ["Where the critic finds nothing to change, no revision is asked for."]
        asked = f"and is asked: *{principle.revision_request}* The revision:"
        return [asked, "", quote(step.revision)]

    def _demonstrations(self, chain: RevisionChain) -> str:
        found = [d for d in self._all("sft_data", Demonstration) if d.chain == chain.id]
        notes = self._notes("sft")
        ids = ", ".join(f"`{d.id}`" for d in found)
        return f"""## 3. Fine-tuning (`charter sft`)

The revisions that differ from one another become demonstrations ({ids}), beside the start model's
own answers to harmless prompts. Together {notes["examples"]} examples, {notes["tokens"]} tokens
of training; the loss falls on the answers only. The result is the SL-CAI model.
"""

    def _label(self, labelled: Labelled) -> str:
        comparison, label = labelled.comparison, labelled.label
        assert isinstance(label, Verdict), "choose a prompt whose pair was labelled"
        strongest = sorted(label.votes, key=lambda v: -abs(v.p_a - 0.5))[:5]
        rows = "\n".join(
            f"| `{v.principle}` | {v.p_as_given:.3f} | {v.p_swapped:.3f} | {v.p_a:.3f} |"
            for v in strongest
        )
        statistics = self._notes("feedback")["statistics"]
        consistency = statistics["position_consistency"]
        return f"""## 4. A pair and its label (`charter label`)

The SL-CAI model answers the same prompt twice. Answer A:

{quote(comparison.a)}

Answer B:

{quote(comparison.b)}

The judge ({statistics["judge"]}) reads the pair in both orders under {len(label.votes)} principles. The five strongest
votes, P(A is better):

| principle | as given | swapped, turned back | mean |
|---|---|---|---|
{rows}

Their weighted mean over all principles is the soft label: **P(A better) = {label.p_a:.3f}**. Over the whole run,
{statistics["n"]} pairs, {statistics["abstained"]} abstentions; the same answer won in both orders in
{consistency["value"]:.0%} of {consistency["n"]} votes.
"""

    def _preference(self, labelled: Labelled) -> str:
        comparison, notes = labelled.comparison, self._notes("preference")
        scorer = reward_model(self.run / "preference")
        both = [(comparison.prompt, comparison.a), (comparison.prompt, comparison.b)]
        a, b = (scored.value for scored in scorer.score(both))
        accuracy = notes["held_out"]["accuracy"]
        return f"""## 5. The preference model (`charter preference`)

Trained on {notes["train_pairs"]} soft labels, it agrees with the judge on {accuracy["value"]:.0%} [{accuracy["low"]:.0%}, {accuracy["high"]:.0%}]
of {accuracy["n"]} pairs of other prompts. It gives answer A a reward of {a:+.2f} and answer B {b:+.2f}.
"""

    def _models(self, prompt: Prompt) -> str:
        reader = FeatureReader(hf.load("embedded"))
        scorer = ComplianceScorer(reader, shipped(COMPLIANCE, reader.model))
        rl = self._notes("rl")
        lines = [
            "## 6. Reinforcement learning, and what it changed (`charter rl`, `charter evaluate`)",
            "",
            f"The policy is trained by {rl['method'].upper()} towards the labels, tied to the SL-CAI model. Evaluation uses "
            "other prompts than training; here, for the tour, the three models answer this one, with the "
            "same seed. The figure is P(harmful compliance) as the held-out scorer reads it.",
        ]
        for name, checkpoint in self._checkpoints().items():
            text = self._answer(checkpoint, prompt)
            score = scorer.score([(prompt, text)])[0].value
            lines += ["", f"**{name}** ({score:.2f}):", "", quote(text)]
        return "\n".join(
            [*lines, "", "The figures of the whole run are in [results.md](results.md).", ""]
        )

    def _answer(self, checkpoint: Checkpoint, prompt: Prompt) -> str:
        model = hf.load(checkpoint.base, adapters=checkpoint.adapters)
        seed = derive(self.recipe.seed, "evaluate", prompt.id)
        request = Request(prompt.messages, self.recipe.evaluate.answers, seed)
        return model.generate([request])[0].text

    def _checkpoints(self) -> dict[str, Checkpoint]:
        trained = {
            name: msgspec.convert(self._notes(stage)["checkpoint"], Checkpoint)
            for name, stage in (("SL-CAI", "sft"), ("RL-CAI", "rl"))
        }
        return {"start model": Checkpoint(self.recipe.model), **trained}

    def _notes(self, stage: str) -> dict[str, Any]:
        notes: dict[str, Any] = json.loads((self.run / stage / "manifest.json").read_text())[
            "notes"
        ]
        return notes

    def _all(self, stage: str, type_: type[Any]) -> list[Any]:
        return list(StageFolder(self.run / stage, stage, "").log(type_))

    def _one(self, stage: str, type_: type[Any], prompt_id: Any) -> Any:
        return next(r for r in self._all(stage, type_) if prompt_id(r) == self.prompt_id)


def quote(text: str) -> str:
    """A text as a Markdown quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("--out", type=Path, default=Path("docs/tour.md"))
    options = parser.parse_args()
    with hf.quiet_loading():
        options.out.write_text(Tour(options.run, options.prompt).text(), encoding="utf-8")


if __name__ == "__main__":
    main()
