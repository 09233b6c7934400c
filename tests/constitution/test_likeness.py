"""Near duplicates: the figures are scikit-learn's, and each clause names the closest before it."""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from charter.constitution import document
from charter.constitution.clauses import FORMAT, Constitution, Principle
from charter.constitution.likeness import cosines, near_duplicates


def written(*texts: str) -> Constitution:
    principles = tuple(
        Principle(f"p{n}", "t", text, "c", "r", f"{n} {'abcdef'[n] * 9}?")
        for n, text in enumerate(texts)
    )
    return Constitution(FORMAT, "test", "1", principles)


def test_cosines_are_those_of_scikit_learn() -> None:
    texts = [p.text for p in document.load("default").principles]
    rows = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit_transform(texts)
    expected, found = (rows @ rows.T).toarray(), cosines(texts)
    for i in range(len(texts)):
        for j in range(i + 1, len(texts)):
            assert abs(found.get((i, j), 0.0) - expected[i, j]) < 1e-12


def test_a_repetition_names_the_clause_it_is_closest_to() -> None:
    found = list(
        near_duplicates(
            written(
                "The assistant does not help to forge documents.",
                "Answers are short and clear.",
                "The assistant does not help anyone forge documents.",
                "The assistant does not help anyone forge documents!",
            )
        )
    )
    assert [(r.principle, r.evidence["other"]) for r in found] == [("p2", "p0"), ("p3", "p2")]
    assert all(r.evidence["cosine"] >= 0.6 and r.evidence["field"] == "text" for r in found)


def test_the_shipped_document_repeats_nothing() -> None:
    assert list(near_duplicates(document.load("default"))) == []


def test_an_embedding_compares_meanings() -> None:
    vectors = {"Be brief.": [1.0, 0.1], "Keep it short.": [2.0, 0.1], "Be kind.": [0.0, 1.0]}

    def embed(texts: list[str]) -> list[list[float]]:
        return [vectors.get(text) or list(np.eye(3)[int(text[0])]) for text in texts]

    names = written("Be brief.", "Keep it short.", "Be kind.")
    [found] = near_duplicates(names, embed=embed)  # type: ignore[arg-type]
    assert (found.principle, found.evidence["other"]) == ("p1", "p0")
    assert list(near_duplicates(names)) == []
