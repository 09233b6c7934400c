"""Templates are filled in one pass: what is put in is never looked at again."""

from __future__ import annotations

from importlib import resources

import pytest

from charter.prompts.templates import render, template, templates_digest

NAMES = sorted(
    file.name.removesuffix(".txt")
    for file in (resources.files("charter.prompts") / "templates").iterdir()
    if file.name.endswith(".txt")
)


def test_values_stand_where_the_placeholders_stood() -> None:
    text = render("critique_first", request="R?", answer="A.", critique_request="C!")
    assert text == "Request: R?\n\nAnswer: A.\n\nCritique request: C!"


def test_a_placeholder_in_a_value_is_not_expanded() -> None:
    text = render(
        "critique_first", request="{{answer}}", answer="{{critique_request}}", critique_request="C"
    )
    assert text.startswith("Request: {{answer}}\n\nAnswer: {{critique_request}}\n\n")


@pytest.mark.parametrize("hostile", ["{0} {request} %s %(x)s", r"\1 \g<1>", "$answer ${answer}"])
def test_no_other_substitution_syntax_means_anything(hostile: str) -> None:
    assert render("revision", revision_request=hostile) == f"Revision request: {hostile}"


@pytest.mark.parametrize("values", [{}, {"revision_request": "a", "extra": "b"}, {"other": "a"}])
def test_values_must_match_the_placeholders(values: dict[str, str]) -> None:
    with pytest.raises(KeyError, match="revision_request"):
        render("revision", **values)


@pytest.mark.parametrize("name", NAMES)
def test_no_template_ends_in_a_newline_or_has_a_stray_brace(name: str) -> None:
    text = template(name)
    assert text
    assert not text.endswith("\n")
    filled = text.replace("{{", "").replace("}}", "")
    assert "{" not in filled and "}" not in filled


def test_a_digest_covers_names_texts_and_order() -> None:
    assert templates_digest("revision") == templates_digest("revision")
    different = {
        templates_digest("revision"),
        templates_digest("critique_next"),
        templates_digest("revision", "critique_next"),
        templates_digest("critique_next", "revision"),
    }
    assert len(different) == 4
