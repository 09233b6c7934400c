"""A constitution as a system prompt: the clauses in plain text, the highest level first.

Written for a model to follow. What is there for people (rationale, source, examples, the forms for
critics and judges) stays out.
"""

from __future__ import annotations

from collections.abc import Iterator

from charter.constitution.clauses import Constitution, Principle


def write(document: Constitution) -> str:
    """The prompt; without Markdown beyond what the clauses bring."""
    lines = [f"You follow this constitution: {document.title or document.name}."]
    if document.levels:
        order = ", ".join(document.levels)
        lines.append(
            f"Its clauses have levels: {order}. Where two clauses conflict, the one of the level "
            "named first goes before the other."
        )
    numbers = {p.id: number for number, p in enumerate(_ordered(document), start=1)}
    blocks = [" ".join(lines)]
    blocks += [_clause(p, numbers) for p in _ordered(document)]
    if document.terms:
        terms = [f"- {term}: {meaning}" for term, meaning in document.terms.items()]
        blocks.append("\n".join(["In these clauses:", *terms]))
    return "\n\n".join(blocks) + "\n"


def _ordered(document: Constitution) -> list[Principle]:
    """By level, those without one last; otherwise as the document has them."""
    rank = {level: number for number, level in enumerate(document.levels)}
    return sorted(document.principles, key=lambda p: rank.get(p.level, len(rank)))


def _clause(p: Principle, numbers: dict[str, int]) -> str:
    return "\n".join([f"{numbers[p.id]}. {p.title}{_level(p)}", p.text, *_notes(p, numbers)])


def _level(p: Principle) -> str:
    return f" (level: {p.level})" if p.level else ""


def _notes(p: Principle, numbers: dict[str, int]) -> Iterator[str]:
    for exception in p.exceptions:
        yield f"Except: {exception}"
    if p.over:
        below = ", ".join(str(number) for number in sorted(numbers[id] for id in p.over))
        yield f"It goes before clause{'s' if len(p.over) > 1 else ''} {below}."
