"""Forms from templates are marked as such until a person has written them."""

from __future__ import annotations

from msgspec.structs import replace

from charter.constitution.clauses import Constitution
from charter.constitution.formats.drafting import DRAFT, drafted, drafts, plain
from charter.constitution.formats.given import Given, shortened, slug
from charter.constitution.formats.importing import import_text


def one(text: str) -> Constitution:
    return import_text(Given("x.md", text), "list").document


def test_a_drafted_clause_is_remarked_on_until_the_tag_is_gone() -> None:
    document = one("Be kind.")
    (remark,) = drafts(document)
    forms = ["critique_request", "revision_request", "comparison_question"]
    assert (remark.code, remark.principle, remark.evidence) == (
        "draft",
        "be-kind",
        {"fields": forms},
    )
    kind = replace(document.principles[0], critique_request="Say where it is unkind.")
    assert drafted(kind) == ("revision_request", "comparison_question")
    done = replace(kind, tags=())
    assert list(drafts(replace(document, principles=(done,)))) == []


def test_a_clause_with_all_its_forms_is_no_draft(files: dict[str, str]) -> None:
    document = import_text(Given("x.md", files["list"])).document
    whole = replace(document.principles[0], critique_request="a", revision_request="b", tags=())
    assert DRAFT not in whole.tags
    assert drafted(replace(whole, comparison_question="c")) == ()


def test_a_long_text_is_named_and_begun_and_a_short_one_said_whole() -> None:
    long = one("Be kind " + "and patient " * 60 + ".").principles[0]
    assert long.comparison_question.startswith("Which answer follows this clause better? Be kind")
    assert long.comparison_question.endswith("…")
    assert len(long.comparison_question) < 400
    assert one("Be kind.").principles[0].revision_request == (
        "Rewrite the answer so that it follows this clause: Be kind."
    )


def test_marks_are_taken_out_of_texts_that_models_read() -> None:
    assert plain("It is **kind**[^a1], see [here](#x) and [?](#be_kind).\n\n*Always*: 2 * 3") == (
        "It is kind, see here and be kind. Always: 2 * 3"
    )


def test_ids_and_titles() -> None:
    assert slug("Don’t  be É_vil!") == "dont-be-e_vil"
    assert slug("诚实") == ""
    assert shortened("one two three", 9) == "one two…"
    assert shortened("abcdefghijkl", 6) == "abcde…"
