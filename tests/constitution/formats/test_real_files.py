"""The documents of other projects, as they were published."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from charter.constitution.formats.drafting import drafted
from charter.constitution.formats.exporting import export
from charter.constitution.formats.importing import Imported, import_file
from charter.constitution.lint import lint
from charter.constitution.markdown import from_markdown, to_markdown

SPEC, NOTES = "openai_model_spec_2025-12-18.md", "openai_model_spec_eval_prompts.jsonl"
CLAUDE = "claude_constitution_2026.md"
FILES = {
    CLAUDE: ("prose", 38),
    "hf_constitution_anthropic.json": ("llm-swarm", 16),
    "hf_constitution_grok.json": ("llm-swarm", 2),
    SPEC: ("model-spec", 59),
    NOTES: ("model-spec-examples", 33),
    "constitutional_evals/kindness.json": ("constitutional-evals", 8),
    "constitutional_evals/loyalty-to-user.json": ("constitutional-evals", 1),
    "constitutional_evals/selfish-power-seeking.json": ("constitutional-evals", 1),
    "constitutional_evals/unquestioning-obedience.json": ("constitutional-evals", 1),
}


def test_all_files_import_export_and_lint(constitutions: Path, tmp_path: Path) -> None:
    on_disk = {
        str(file.relative_to(constitutions)) for file in constitutions.rglob("*") if file.is_file()
    }
    assert on_disk == set(FILES)
    for name, expected in FILES.items():
        found = import_file(constitutions / name)
        assert (found.format, len(found.document.principles)) == expected, name
        check_forms(found, name)
        page = tmp_path / "document.md"
        page.write_text(to_markdown(found.document))
        assert {finding.severity for finding in lint(page)} <= {"advice"}, name


def check_forms(found: Imported, name: str) -> None:
    assert from_markdown(to_markdown(found.document)) == found.document, name
    for target in ("html", "system-prompt", "json"):
        assert export(found.document, target).text, (name, target)
    assert all(drafted(p) for p in found.document.principles), name


def test_the_model_spec_keeps_every_heading(constitutions: Path) -> None:
    found = import_file(constitutions / SPEC, examples=constitutions / NOTES)
    document, text = found.document, (constitutions / SPEC).read_text()
    assert Counter(p.level for p in document.principles) == {
        "root": 22,
        "system": 3,
        "developer": 1,
        "user": 15,
        "guideline": 18,
    }
    assert document.levels == ("root", "system", "developer", "user", "guideline")
    anchors = [line for line in text.splitlines() if line.startswith("#") and "{#" in line]
    context = [line for line in anchors if "authority=" not in line]
    assert len(anchors) == 59 + len(context)
    assert all(line in document.description for line in context)
    for p in document.principles:
        assert p.span is not None
        heading = text[slice(*p.span)].split("\n")[0]
        assert heading.startswith("#") and f"{p.title} {{#{p.id} authority={p.level}" in heading
    marks = [text[slice(*p.span)].count("!!! meta") for p in document.principles if p.span]
    assert [bool(p.rationale) for p in document.principles] == [mark > 0 for mark in marks]
    assert sum(marks) + document.description.count("!!! meta") == text.count("!!! meta") == 28
    assert sum(len(p.examples) for p in document.principles) == 366
    assert found.left_out == {}


def test_claudes_constitution_is_covered_by_its_clauses(constitutions: Path) -> None:
    document, text = import_file(constitutions / CLAUDE).document, ""
    source = (constitutions / CLAUDE).read_bytes().decode()
    for p in document.principles:
        assert p.span is not None
        text = source[slice(*p.span)]
        assert p.title in text.split("\n")[0]
        assert p.text in "\n".join(line.rstrip() for line in text.split("\n"))
    covered = sum(p.span[1] - p.span[0] for p in document.principles if p.span)
    assert covered + len(document.description) > 0.99 * len(source)
    assert "cyberweapons" in document.principle("hard-constraints").text


def test_llm_swarm_comes_back_as_it_was(constitutions: Path) -> None:
    file = constitutions / "hf_constitution_anthropic.json"
    written = export(import_file(file).document, "llm-swarm")
    assert json.loads(written.text) == json.loads(file.read_text())
    joke = import_file(constitutions / "hf_constitution_grok.json")
    assert joke.left_out == {"chats that show no clause at work": 1}
