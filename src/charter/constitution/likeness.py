"""Clauses that say nearly the same: cosine of TF-IDF weights over character n-grams.

The weights are those of scikit-learn's `TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5))`,
computed here over an inverted index: a lint should not wait for a scientific stack to load. An
embedding can be given in its place.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from charter.constitution.clauses import Constitution
from charter.constitution.findings import Remark

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts → vectors of one length each."""
NEAR = 0.6
"""Cosine from which two clauses are shown. In the shipped document the closest pair is at 0.41."""
NEAR_EMBEDDED = 0.9
FIELDS = ("text", "comparison_question")


def near_duplicates(
    document: Constitution, *, embed: Embed | None = None, threshold: float | None = None
) -> Iterator[Remark]:
    """Clauses that nearly repeat an earlier one, each with the earlier one that is closest.

    Args:
        document: the clauses.
        embed: compares meanings in place of letters.
        threshold: cosine from which a pair counts; `NEAR`, or `NEAR_EMBEDDED` with an embedding.
    """
    limit = threshold if threshold is not None else (NEAR_EMBEDDED if embed else NEAR)
    closest: dict[int, tuple[float, int, str]] = {}
    for field in FIELDS:
        texts = [getattr(p, field) for p in document.principles]
        pairs = _embedded(texts, embed) if embed else cosines(texts)
        for (i, j), value in pairs.items():
            best = closest.get(j, (limit, len(texts), ""))
            # The earlier clause wins where two are equally close; rounding must not choose.
            if (round(value, 9), -i) >= (round(best[0], 9), -best[1]):
                closest[j] = (value, i, field)
    for j, (value, i, field) in sorted(closest.items()):
        one, other = document.principles[i], document.principles[j]
        message = f"{field} is nearly that of {one.id!r} (cosine {value:.2f}): keep one of them?"
        evidence = {
            "field": field,
            "other": one.id,
            "cosine": round(value, 4),
            "texts": [getattr(other, field), getattr(one, field)],
        }
        yield Remark("near-duplicate", other.id, message, evidence)


def cosines(texts: Sequence[str]) -> dict[tuple[int, int], float]:
    """Cosine of every pair of texts that share an n-gram, by (lower, higher) position."""
    counts = [Counter(_ngrams(text)) for text in texts]
    spread = Counter(gram for count in counts for gram in count)
    rarity = {gram: math.log((1 + len(texts)) / (1 + n)) + 1 for gram, n in spread.items()}
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row, count in enumerate(counts):
        weights = {gram: n * rarity[gram] for gram, n in count.items()}
        norm = math.sqrt(sum(w * w for w in weights.values()))
        for gram, weight in weights.items():
            postings[gram].append((row, weight / norm))
    found: dict[tuple[int, int], float] = defaultdict(float)
    for rows in postings.values():
        for k, (i, left) in enumerate(rows):
            for j, right in rows[k + 1 :]:
                found[i, j] += left * right
    return found


def _ngrams(text: str) -> Iterator[str]:
    """N-grams of 3 to 5 characters inside words; a word shorter than n counts once."""
    for word in text.lower().split():
        padded = f" {word} "
        for n in (3, 4, 5):
            yield from (padded[k : k + n] for k in range(max(1, len(padded) - n + 1)))
            if len(padded) <= n:
                break


def _embedded(texts: Sequence[str], embed: Embed) -> dict[tuple[int, int], float]:
    unit = [_unit(vector) for vector in embed(texts)]
    return {
        (i, j): sum(a * b for a, b in zip(unit[i], unit[j], strict=True))
        for i in range(len(unit))
        for j in range(i + 1, len(unit))
    }


def _unit(vector: Sequence[float]) -> list[float]:
    norm = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / norm for x in vector]
