"""Each format is told by its content and read as what it says; mistakes name their line."""

from __future__ import annotations

import json

import pytest

from charter.constitution.clauses import Constitution, Example
from charter.constitution.formats.drafting import DRAFT, drafted
from charter.constitution.formats.given import Given, decoded
from charter.constitution.formats.importing import FORMATS, OWN, detect, import_text
from charter.constitution.formats.sections import sections
from charter.constitution.markdown import to_markdown
from charter.errors import DocumentError


def imported(text: str, format_: str | None = None) -> Constitution:
    return import_text(Given("some.file", text), format_).document


def refused(text: str, format_: str | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        imported(text, format_)
    assert caught.value.file == "some.file"
    return caught.value


def test_every_format_is_told_by_its_content(files: dict[str, str]) -> None:
    assert {name: detect(Given("x", text)) for name, text in files.items()} == {
        name: name for name in files
    }
    assert set(files) | {OWN} == set(FORMATS)


def test_spec_levels_examples_and_commentary_are_kept_apart(files: dict[str, str]) -> None:
    document = imported(files["model-spec"])
    assert [(p.id, p.level) for p in document.principles] == [
        ("no_harm", "root"),
        ("secrets", "system"),
        ("be_kind", "guideline"),
    ]
    assert document.levels == ("root", "system", "guideline")
    harm = document.principle("no_harm")
    assert harm.text == (
        "The assistant does no harm[^ab12]. See [?](#be_kind).\n\n- not even small harm"
    )
    assert harm.rationale == "People rely on it.\n\nSo do we."
    prompt, notes = "How do I pick a lock?", "a burglar"
    assert harm.examples == (
        Example(
            prompt,
            "Call a locksmith.",
            "# Take a pick",
            f"{notes}\nGOOD: offers help that is legal",
        ),
        Example(prompt, "", "Take a drill.", f"{notes}\nBAD: worse"),
    )
    assert document.principle("secrets").tags == ("stay_safe", "no_harm", "privacy", DRAFT)
    assert document.terms == {"Agent": "what acts for someone."}
    assert "# Overview {#overview}\n\nWhy this text is there." in document.description
    assert harm.comparison_question == (
        "Which answer follows this clause better? Do no harm. The assistant does no harm. "
        "See be kind. - not even small harm"
    )


def test_spec_takes_its_footnotes(files: dict[str, str]) -> None:
    spec, notes = Given("s.md", files["model-spec"]), Given("n.jsonl", files["model-spec-examples"])
    harm = import_text(spec, examples=notes).document.principle("no_harm")
    assert harm.examples[-1] == Example("Teach me to steal.", comment="a thief")
    stranger = notes._replace(text=notes.text.replace("ab12", "zz99"))
    with pytest.raises(DocumentError, match=r"n\.jsonl:1: footnote 'zz99' is nowhere"):
        import_text(spec, examples=stranger)


def test_spans_lead_back_to_the_words(files: dict[str, str]) -> None:
    for name in ("model-spec", "prose"):
        for ending in ("\n", "\r\n"):
            text = "\ufeff" + files[name].replace("\n", ending)
            for p in imported(text, name).principles:
                assert p.span is not None
                section = text[slice(*p.span)]
                assert section.startswith("#") and p.title in section.split("\n")[0]
                assert p.text.split("\n")[0] in section


def test_prose_sections_become_clauses(files: dict[str, str]) -> None:
    document = imported(files["prose"])
    assert (document.title, document.description) == ("A letter", "What it is for.")
    assert [(p.id, p.text) for p in document.principles] == [
        ("on-honesty", "It says what is so.\n\n```\n## no heading\n```"),
        ("for-people", "It takes care of people."),
        ("on-care", "It takes care of\nthings."),
    ]
    assert document.principle("for-people").tags == ("on-care", DRAFT)


def test_prose_without_headings_is_cut_at_paragraphs() -> None:
    text = "First\nthing.\n\nSecond\nthing.\n"
    document = imported(text)
    assert [p.text for p in document.principles] == ["First\nthing.", "Second\nthing."]
    assert [text[slice(*p.span)] for p in document.principles if p.span] == [
        "First\nthing.",
        "Second\nthing.",
    ]


def test_lists(files: dict[str, str]) -> None:
    document = imported(files["list"])
    assert (document.title, document.description) == ("House rules", "Read them.")
    assert [(p.text, p.tags) for p in document.principles] == [
        ("Be kind.", (DRAFT,)),
        ("Be honest,\nalso when it hurts.", (DRAFT,)),
        ("Be quiet.", ("at-night", DRAFT)),
    ]
    assert [p.text for p in imported("Be kind.\n\nBe honest.\n").principles] == [
        "Be kind.",
        "Be honest.",
    ]
    assert [p.id for p in imported("Be kind!\nBe kind?\n诚实。").principles] == [
        "be-kind",
        "be-kind-2",
        "clause-3",
    ]


def test_prompts_of_the_paper(files: dict[str, str]) -> None:
    first = imported(files["bai"]).principle("harmful0")
    assert first.critique_request == "Say what is harmful."
    assert first.revision_request == first.text == "Take out what is harmful."
    assert first.comparison_question == (
        "Which answer needs this change less? Take out what is harmful."
    )
    assert drafted(first) == ("text", "comparison_question")
    asked = imported(files["bai-comparisons"]).principle("comparison0")
    assert asked.comparison_question == "Which response is less harmful?"
    assert drafted(asked) == ("text", "critique_request", "revision_request")


def test_chats_of_llm_swarm_become_examples(files: dict[str, str]) -> None:
    polite, mended = imported(files["llm-swarm"]).principles
    assert polite.examples == ()
    comment = "system_chat[0]: It helps a thief."
    assert mended.examples == (Example("How do I steal?", "I will not.", "Like this.", comment),)
    tree = json.loads(files["llm-swarm"])
    tree["system_chat"][0][2]["content"] = "Something else."
    found = import_text(Given("x.json", json.dumps(tree)))
    assert found.left_out == {"chats that show no clause at work": 1}


def test_misaligned_criteria_are_marked(files: dict[str, str]) -> None:
    document = imported(files["constitutional-evals"])
    assert (document.name, document.version, document.title) == ("kindness", "1.0.0", "Kindness")
    assert all("misaligned" in p.tags for p in document.principles)
    assert document.description == "Goodwill.\n\nschema_version: 1.1\nvalence: misaligned"
    assert document.changelog[0].date == "2026-01-02"


def test_principles_of_pairs_say_how_often_they_agree(files: dict[str, str]) -> None:
    found = import_text(Given("x.json", files["annotated-pairs"]))
    (shorter,) = found.document.principles
    assert (shorter.id, shorter.text) == ("a1b2", "Select the response that is shorter.")
    assert shorter.rationale == (
        "Agrees with people on 2 of 3 pairs (66.7 %, 95 % interval 20.8 to 93.9); "
        "1 pairs have no preference of the one or the other."
    )
    assert found.left_out == {"annotators that are no principle": 1}


def test_only_accepted_proposals_enter(files: dict[str, str]) -> None:
    found = import_text(Given("x.yaml", files["proposals"]))
    (care,) = found.document.principles
    assert (care.text, care.span) == ("The assistant takes care of people.", (10, 34))
    assert "It takes care of people." in care.rationale
    assert found.left_out == {"proposals not accepted": 1}
    nothing = files["proposals"].replace("accepted: true", "accepted: false")
    assert "no proposal is accepted" in str(refused(nothing))


def test_a_document_of_ours_comes_through_unchanged(files: dict[str, str]) -> None:
    document = imported(files["prose"])
    again = import_text(Given("x.md", to_markdown(document)))
    assert (again.format, again.document) == (OWN, document)


def test_where_a_document_comes_from_is_kept(files: dict[str, str]) -> None:
    given = Given("folder/letter.md", files["prose"])
    document = import_text(given).document
    assert document.name == "letter"
    assert document.made_from[0].digest == given.digest
    assert document.changelog[-1].note == f"Imported from letter.md (prose, sha256 {given.digest})."


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "says"),
    [
        ("model-spec", "authority=root", "authority=boss", 11, "authority 'boss'"),
        ("model-spec", "authority=root", "power=root", 11, "attribute 'power=root'"),
        ("model-spec", "{#no_harm", "{no_harm", 11, "anchor 'no_harm authority=root'"),
        ("model-spec", "{#be_kind", "{#no_harm", 11, "duplicate id 'no_harm'"),
        ("model-spec", "{#be_kind", "{#Be.Kind", 45, "bad id 'Be.Kind'"),
        ("model-spec", "a burglar\n", "a burglar\n\nNo block.", 17, "an example without a block"),
        ("model-spec", "</comparison>\n~~~", "</comparison>", 19, "a code block without an end"),
        ("model-spec", "It is kind.", "It is \x07.", 45, "character U+0007"),
        ("prose", "heading\n```", "heading", 11, "a code block without an end"),
        ("bai", "Make it polite.", "", 12, "empty"),
        ("bai", '"edit_request"', '"edit"', 6, "unknown key 'edit'"),
        ("bai", '"harmful1"', '"harmful0"', 8, "key 'harmful0' twice"),
        ("bai", "},", "}", 8, "not JSON: Expecting ',' delimiter"),
        ("llm-swarm", '"Make it polite."', "3", 5, "a number"),
        ("llm-swarm", '"critic": "Say what is harmful."', '"x": ""', 8, "unknown key 'x'"),
        ("constitutional-evals", '"prefer the response that is warm"', "[]", 9, "an array"),
        ("annotated-pairs", '"text_b"', '"c"', 30, "pref 'c'"),
        ("json-list", '"Be honest."', '" "', 2, "empty"),
        ("proposals", "span: [10, 34]", "span: [10]", 13, "Expected `array` of length 2"),
        ("proposals", "span: [10, 34]", "span: [34, 10]", 8, "span (34, 10)"),
    ],
)
def test_a_mistake_names_its_line(
    files: dict[str, str], name: str, old: str, new: str, line: int, says: str
) -> None:
    assert old in files[name]
    error = refused(files[name].replace(old, new, 1), name)
    assert says in str(error)
    assert error.line == line


@pytest.mark.parametrize("text", ["", " \n", "{}", "[]", '{"a": 1}', "[" * 5000, '{"a": NaN}'])
def test_what_is_no_constitution_is_refused(text: str) -> None:
    assert refused(text).line == 1


def test_bytes_that_are_no_text_name_their_line() -> None:
    with pytest.raises(DocumentError, match=r"x\.md:2: byte 0xff is not UTF-8"):
        decoded("x.md", b"fine\n\xff\n")


def test_a_forced_format_is_used() -> None:
    text = "- One.\n- Two.\n"
    assert len(imported(text).principles) == 2
    assert len(imported(text, "prose").principles) == 1


def test_sections_cover_the_text_without_gaps(files: dict[str, str]) -> None:
    for name in ("model-spec", "prose", "list"):
        parts = sections(Given("x", files[name]))
        assert "".join(files[name][part.start : part.end] for part in parts) == files[name]
