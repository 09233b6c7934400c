"""`charter constitution import`, `export` and `propose` as people call them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from charter.cli import constitution_files
from charter.cli.main import cli
from charter.constitution import document
from charter.constitution.formats import exporting, importing
from charter.errors import DocumentError
from charter.models import loading
from charter.records import Completion, Request


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["constitution", *map(str, words)])


def test_the_command_offers_every_format() -> None:
    assert sorted(constitution_files.FORMATS) == sorted(importing.FORMATS)
    assert sorted(constitution_files.TARGETS) == sorted(exporting.TARGETS)


def test_import_writes_a_document_and_says_what_it_holds(
    files: dict[str, str], tmp_path: Path
) -> None:
    spec = tmp_path / "spec.md"
    spec.write_text(files["model-spec"])
    for ending in ("yaml", "md", "json"):
        out = tmp_path / "new" / f"doc.{ending}"
        result = run("import", spec, "--out", out, "--json")
        assert result.exit_code == 0, result.output
        said = json.loads(result.output)
        assert said["digest"] == document.load(out).digest
        assert (said["format"], said["principles"], said["drafts"]) == ("model-spec", 3, 3)
        assert said["levels"] == {"root": 1, "system": 1, "guideline": 1}
    text = run("import", spec, "--out", tmp_path / "doc.yaml").output
    assert "model-spec: 3 principles (1 root, 1 system, 1 guideline)" in text
    assert "3 have forms drafted by a template" in text


def test_import_prints_without_out(files: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "rules.md"
    file.write_text(files["list"])
    printed = run("import", file).output
    assert document.parse(printed).title == "House rules"
    as_json = json.loads(run("import", file, "--json").output)
    assert as_json["document"]["title"] == "House rules"
    assert len(json.loads(run("import", file, "--format", "prose", "--json").output)) == len(
        as_json
    )


def test_a_bad_file_is_a_document_error(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"constitutions": 3}')
    error = run("import", file).exception
    assert isinstance(error, DocumentError) and error.exit_code == 2
    assert str(error) == (f"{file}:1: field 'constitutions': a number (expected a JSON array)")
    assert isinstance(run("import", tmp_path / "none.md").exception, DocumentError)


def test_export_writes_or_prints(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    result = run("export", "default", "--to", "html", "--out", out, "--json")
    assert json.loads(result.output) == {"to": "html", "out": str(out), "lost": []}
    assert out.read_text().startswith("<!doctype html>")
    assert run("export", "default", "--to", "system-prompt").output.startswith("You follow this")
    refused = run("export", "default", "--to", "bai")
    assert isinstance(refused.exception, DocumentError)
    lossy = json.loads(run("export", "default", "--to", "bai", "--lossy", "--json").output)
    assert "categories" in lossy["lost"] and json.loads(lossy["text"])


class Silent:
    """A model that has been loaded and proposes nothing."""

    identity = "silent@1"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [Completion("NONE", 1, "stop") for _ in requests]


def test_a_model_proposes_into_a_review_file(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading.Models, "get", lambda self, checkpoint: Silent())
    file, out = tmp_path / "letter.md", tmp_path / "review.yaml"
    file.write_text(files["prose"])
    result = run("propose", file, "--limit", "1", "--out", out, "--json")
    assert result.exit_code == 0, result.exception
    said = json.loads(result.output)
    assert (said["asked"], said["proposals"], said["model"]) == (1, [], "silent@1")
    assert said["left_out"] == {"no rule in the section": 1}
    assert isinstance(run("import", out).exception, DocumentError)


def test_no_format_needs_torch() -> None:
    names = ("importing", "exporting", "proposing")
    imports = ", ".join(f"charter.constitution.formats.{name}" for name in names)
    code = f"import sys, {imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
