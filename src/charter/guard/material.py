"""Base prompts and answers of one category: the part of guard data that costs model calls.

Owns what a generator is asked for and which of its texts are kept. Prompts that are at hand are
used first; the generator rewords and invents what is missing, and answers. Each category has a
folder of its own, keyed by all that the category says, so an edit elsewhere costs nothing here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from charter.engine.local import Progress, process, silent
from charter.guard.examples import Label, LabelledAnswer, Material
from charter.guard.slots import TEMPLATES, How, MaterialConfig, Slot, Subject
from charter.guard.sources import Given
from charter.prompts.cleaning import usable
from charter.prompts.sets import prompt_of
from charter.prompts.templates import render, templates_digest
from charter.records import (
    Completion,
    Dropped,
    Message,
    Model,
    Origin,
    Prompt,
    Request,
    Scorer,
)
from charter.seeds import derive
from charter.store import StageFolder

STAGE = "guard-material"


@dataclass(frozen=True, slots=True)
class MaterialDeps:
    """What is worked with.

    Attributes:
        generator: writes prompts and answers; None to use what is at hand.
        scorer: gives P(harmful compliance) of an answer; None leaves answers to harmful prompts
            unlabelled. It must not be the one that later measures the guard.
        constitution: digest of the document in force.
        seed: of the whole synthesis.
        progress: told after every chunk.
    """

    generator: Model | None = None
    scorer: Scorer | None = None
    constitution: str = ""
    seed: int = 0
    progress: Progress = silent


def run(
    subject: Subject,
    wanted: Sequence[Slot],
    config: MaterialConfig,
    folder: StageFolder,
    *,
    deps: MaterialDeps,
) -> None:
    """Write one `Material` (or `Dropped`) a slot; nothing, if the folder is finished."""
    process(
        folder,
        wanted,
        _Maker(subject, config, deps).make,
        record_type=Material,
        identify=lambda record: record.id,
        total=len(wanted),
        progress=deps.progress,
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A slot on its way: a prompt or the reason why there is none, and answers without a label."""

    slot: Slot
    prompt: Prompt | None
    problem: str = ""
    texts: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class _Maker:
    """Makes the material of one chunk of slots."""

    def __init__(self, subject: Subject, config: MaterialConfig, deps: MaterialDeps) -> None:
        self.subject, self.config, self.deps = subject, config, deps
        self.templates = templates_digest(*TEMPLATES)

    def make(self, wanted: Sequence[Slot]) -> list[Material | Dropped]:
        """One outcome a slot, in order."""
        drafts = self._answered(self._prompted(wanted))
        return [
            Dropped(draft.slot.id, STAGE, f"prompt_{draft.problem}")
            if draft.prompt is None
            else self._judged(draft, draft.prompt)
            for draft in drafts
        ]

    def _prompted(self, wanted: Sequence[Slot]) -> list[_Draft]:
        making = [slot for slot in wanted if slot.how != "given"]
        requests = [
            Request((Message("user", self._request(slot)),), self.config.prompt, self._seed(slot))
            for slot in making
        ]
        made = dict(zip((slot.id for slot in making), self._generate(requests), strict=True))
        return [self._drafted(slot, made.get(slot.id)) for slot in wanted]

    def _request(self, slot: Slot) -> str:
        if slot.given is None:
            return render(
                "guard_invent",
                title=self.subject.title,
                text=self.subject.text,
                examples="\n".join(f"- {text}" for text in slot.shown),
            )
        message = slot.given.prompt.messages[-1].content
        if slot.how == "translation":
            return render("guard_translate", language=slot.language, message=message)
        return render("guard_paraphrase", message=message)

    def _drafted(self, slot: Slot, made: Completion | None) -> _Draft:
        if made is None:
            assert slot.given is not None
            return _Draft(slot, slot.given.prompt)
        parent = slot.given.prompt.messages[-1].content if slot.given else ""
        text, problem = usable(made, prompt=parent)
        if problem:
            return _Draft(slot, None, problem)
        row = {"id": slot.id, "text": text, "category": self.subject.category}
        if slot.given:
            row["split"] = slot.given.prompt.split
        return _Draft(slot, prompt_of(row, self.subject.label, self.subject.name, 1))

    def _answered(self, drafts: list[_Draft]) -> list[_Draft]:
        """Answers of the generator, where one is there and the prompt is."""
        open_ = [d for d in drafts if d.prompt is not None]
        count = self.config.answers if self.deps.generator else 0
        requests = [
            Request(d.prompt.messages, self.config.answer, self._seed(d.slot, number))
            for d in open_
            if d.prompt is not None
            for number in range(count)
        ]
        made = iter(self._generate(requests))
        found: list[_Draft] = []
        for draft in drafts:
            pairs = [usable(next(made)) for _ in range(count)] if draft.prompt else []
            given = draft.slot.given if draft.slot.how == "given" else None
            texts = [text for text, problem in pairs if not problem]
            failed = tuple(problem for _, problem in pairs if problem)
            found.append(
                replace(draft, texts=(*(given.unjudged if given else ()), *texts), failed=failed)
            )
        return found

    def _judged(self, draft: _Draft, prompt: Prompt) -> Material:
        given, how = draft.slot.given, draft.slot.how
        label = given.label if given else self.subject.label
        labelled, unlabelled = self._labels(prompt, label, draft.texts)
        known = given.answers if given and how == "given" else ()
        return Material(
            draft.slot.id,
            prompt,
            label,
            self.subject.category or (given.category if given else ""),
            self._clauses(label, given),
            given.source if given and how == "given" else how,
            self._origin(how, given),
            given.prompt.id if given and how != "given" else "",
            (*known, *labelled),
            dict(Counter([*draft.failed, *unlabelled])),
        )

    def _labels(
        self, prompt: Prompt, label: Label, texts: Sequence[str]
    ) -> tuple[list[LabelledAnswer], list[str]]:
        """Answers with a label, and why the others have none.

        A harmless prompt makes its answers harmless, unless the scorer doubts it.
        """
        scorer = self.deps.scorer
        if scorer is None or not texts:
            if label == "harmful":
                return [], ["no_scorer"] * len(texts)
            return [LabelledAnswer(text, "harmless", "prompt") for text in texts], []
        kept: list[LabelledAnswer] = []
        left: list[str] = []
        for text, scored in zip(texts, scorer.score([(prompt, t) for t in texts]), strict=True):
            if scored.value is None:
                left.append(scored.reason or "unscored")
            elif label == "harmless" and scored.value >= 0.5:
                left.append("doubtful")
            else:
                side: Label = "harmful" if scored.value >= 0.5 else "harmless"
                kept.append(LabelledAnswer(text, side, scorer.identity))
        return kept, left

    def _clauses(self, label: Label, given: Given | None) -> tuple[str, ...]:
        known = self.subject.clauses
        return known.get(given.category if given else "") or known[label]

    def _generate(self, requests: list[Request]) -> list[Completion]:
        if not requests:
            return []
        assert self.deps.generator is not None, "slots are made for a generator that is there"
        return self.deps.generator.generate(requests)

    def _seed(self, slot: Slot, number: int | None = None) -> int:
        return derive(self.deps.seed, STAGE, self.subject.name, slot.id, number)

    def _origin(self, how: How, given: Given | None) -> Origin:
        """The generator where it wrote the prompt or an answer, else where the prompt is from."""
        model, sampling = given.source if given else "", None
        generator, wrote = self.deps.generator, how != "given"
        if generator is not None and (wrote or self.config.answers):
            model = generator.identity
            sampling = self.config.prompt if wrote else self.config.answer
        template = self.templates if wrote else ""
        return Origin(STAGE, model, self.deps.constitution, template, sampling, self.deps.seed)
