"""The layers and the nevers of the architecture, checked on the imports of every module.

`violations` takes source texts, so the checker itself is tested on planted breaches: each rule has
a test that breaks it.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"

# A unit may import from lines below its own, and from itself. The first line of the architecture
# page is drawn finer here: `pipeline` joins the stages, and what shows or estimates a run reads it.
LINES: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in (
        "cli",
        "display display_judge display_constitution display_assessment induction",
        "contrast interop estimate tracing acceptance impact assessment auditing",
        "pipeline studies",
        "summary selection adoption",
        "recipe",
        "critique sft feedback preference rl evaluate guard collective report",
        "training judging engine formats",
        "readout",
        "models prompts constitution",
        "store cache seeds statistics yaml_tree plan tasks",
        "storage",
        "records errors",
        "charter",  # the package itself: its version
    )
)
RANK = {unit: rank for rank, line in enumerate(LINES) for unit in line}
STAGES = LINES[6]
LIGHT = frozenset({"records", "errors", "constitution", "prompts", "report", "cli"})
HEAVY = frozenset({"torch", "transformers", "peft", "trl", "accelerate", "vllm"})
OUTSIDE = frozenset({"tests", "recipes", "benchmarks"})
# (who, whom, why): not even by way of another module.
NEVER = (
    ("charter.guard.proxy", "charter.training", "the proxy serves, it does not train"),
    ("charter.training", "charter.judging", "training gets data and a reward callable"),
    ("charter.training", "charter.constitution", "training gets data and a reward callable"),
    ("charter.feedback", "charter.evaluate", "held-out scorers must not leak into labels"),
    ("charter.judging", "charter.evaluate", "held-out scorers must not leak into labels"),
    ("charter.training", "charter.evaluate", "held-out scorers must not leak into training"),
    ("charter.rl", "charter.evaluate", "held-out scorers must not leak into rewards"),
)


@dataclass(frozen=True)
class Import:
    """One imported module, where, and whether it happens when its module is imported."""

    importer: str
    line: int
    target: str
    in_function: bool
    for_types: bool

    def breaks(self, rule: str) -> str:
        path = "src/" + self.importer.replace(".", "/") + ".py"
        return f"{path}:{self.line}: {rule} (imports {self.target})"


def unit_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


class Collector(ast.NodeVisitor):
    """Every import of one module, resolved to modules where it names one."""

    def __init__(self, module: str, is_package: bool, known: frozenset[str]) -> None:
        self.module, self.is_package, self.known = module, is_package, known
        self.found: list[Import] = []
        self.in_function = self.for_types = False

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node.lineno, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            anchor = self.module.split(".")
            anchor = anchor[: len(anchor) - node.level + self.is_package]
            base = ".".join([*anchor, *filter(None, [node.module])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            self._add(node.lineno, inner if inner in self.known else base)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        before, self.in_function = self.in_function, True
        self.generic_visit(node)
        self.in_function = before

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        before = self.for_types
        self.for_types = before or ast.unparse(node.test).endswith("TYPE_CHECKING")
        for child in node.body:
            self.visit(child)
        self.for_types = before
        for child in node.orelse:
            self.visit(child)

    def _add(self, line: int, target: str) -> None:
        self.found.append(Import(self.module, line, target, self.in_function, self.for_types))


def imports_of(sources: Mapping[str, str]) -> list[Import]:
    """Imports of all modules; a module is a package if another one lies inside it."""
    known, found = frozenset(sources), []
    for module, text in sources.items():
        is_package = any(other.startswith(f"{module}.") for other in known)
        collector = Collector(module, is_package, known)
        collector.visit(ast.parse(text))
        found += collector.found
    return found


def violations(sources: Mapping[str, str]) -> list[str]:
    """Every breach of every rule, as `file:line: rule`."""
    found = imports_of(sources)
    edges = graph(found, sources)
    rules = (unknown_units(sources), layers(found), stages(found), of_cli(found), trl(found))
    more = (late(found), outside(found), nevers(edges), heavy(edges), circles(edges))
    return [breach for rule in (*rules, *more) for breach in rule]


def unknown_units(sources: Mapping[str, str]) -> Iterator[str]:
    for module in sources:
        if unit_of(module) not in RANK:
            yield f"src/{module.replace('.', '/')}.py:1: no layer is given for it in LINES"


def layers(found: list[Import]) -> Iterator[str]:
    for i in found:
        here, there = unit_of(i.importer), unit_of(i.target)
        if not within(i.target, "charter") or here == there or not {here, there} <= set(RANK):
            continue
        if RANK[there] <= RANK[here]:
            yield i.breaks(f"layer: {here!r} may import from lines below its own only")


def stages(found: list[Import]) -> Iterator[str]:
    for i in found:
        here, there = unit_of(i.importer), unit_of(i.target)
        if within(i.target, "charter") and here != there and {here, there} <= STAGES:
            yield i.breaks("a stage imports a stage: only `pipeline` joins them")


def of_cli(found: list[Import]) -> Iterator[str]:
    for i in found:
        if within(i.target, "charter.cli") and not within(i.importer, "charter.cli"):
            yield i.breaks("nothing imports `cli`")


def trl(found: list[Import]) -> Iterator[str]:
    for i in found:
        if within(i.target, "trl") and not within(i.importer, "charter.training"):
            yield i.breaks("`trl` is touched in `training` only")


def late(found: list[Import]) -> Iterator[str]:
    for i in found:
        if i.in_function and not within(i.importer, "charter.cli"):
            yield i.breaks("an import inside a function: only `cli` imports late")


def outside(found: list[Import]) -> Iterator[str]:
    for i in found:
        if i.target.split(".")[0] in OUTSIDE:
            yield i.breaks("src imports neither tests nor recipes nor benchmarks")


Edges = dict[str, list[Import]]


def graph(found: list[Import], sources: Mapping[str, str]) -> Edges:
    """What importing a module makes Python import: its targets, and the packages around both."""
    edges: Edges = {module: [] for module in sources}
    for i in found:
        if not (i.in_function or i.for_types):
            edges[i.importer].append(i)
    for module in sources:
        parent = module.rpartition(".")[0]
        if parent in sources:
            edges[module].append(Import(module, 1, parent, False, False))
    return edges


def reached(edges: Edges, start: str) -> dict[str, Import]:
    """Every module that importing `start` imports, with the import of `start` that led there."""
    led: dict[str, Import] = {}
    todo = [(i, i) for i in edges[start]]
    while todo:
        i, first = todo.pop()
        if i.target not in led:
            led[i.target] = first
            todo += [(following, first) for following in edges.get(i.target, ())]
    return led


def nevers(edges: Edges) -> Iterator[str]:
    for who, whom, why in NEVER:
        for module in (m for m in edges if within(m, who)):
            for target, first in reached(edges, module).items():
                if within(target, whom):
                    yield first.breaks(f"{who} never imports {whom}: {why}; reaches {target}")


def heavy(edges: Edges) -> Iterator[str]:
    for module in (m for m in edges if unit_of(m) in LIGHT):
        for target, first in reached(edges, module).items():
            if target.split(".")[0] in HEAVY:
                yield first.breaks(f"{unit_of(module)!r} stays light; reaches {target}")


def circles(edges: Edges) -> Iterator[str]:
    for module in edges:
        for i in edges[module]:
            # A module needs the package it lies in: that circle is Python's own.
            nested = within(module, i.target) or within(i.target, module)
            if i.target in edges and not nested and module in reached(edges, i.target):
                yield i.breaks(f"circular import of {module}")


def sources_on_disk() -> dict[str, str]:
    found = {}
    for file in sorted((SRC / "charter").rglob("*.py")):
        parts = file.relative_to(SRC).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[module] = file.read_text(encoding="utf-8")
    return found


SOURCES = sources_on_disk()


def test_the_source_breaks_no_rule() -> None:
    found = violations(SOURCES)
    assert not found, "\n" + "\n".join(found)


PLANTED = {
    "no layer is given": {"charter.mystery": "", "charter.records": ""},
    "layer: 'store' may import": {
        "charter.store": "import charter.engine.local",
        "charter.engine.local": "",
    },
    "layer: 'readout' may import": {
        "charter.readout.x": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from charter.judging import labeling",
        "charter.judging.labeling": "",
    },
    "a stage imports a stage": {
        "charter.sft": "from charter import critique",
        "charter.critique": "",
    },
    "nothing imports `cli`": {"charter.pipeline": "import charter.cli", "charter.cli": ""},
    "`trl` is touched in `training` only": {"charter.rl": "from trl import GRPOConfig"},
    "an import inside a function": {"charter.rl": "def f():\n    import json"},
    "src imports neither tests": {"charter.rl": "from tests.conftest import tiny"},
    "charter.guard.proxy never imports charter.training": {
        "charter.guard.proxy": "from charter.guard import probe",
        "charter.guard.probe": "import charter.training.run",
        "charter.training.run": "",
    },
    "charter.training never imports charter.judging": {
        "charter.training.run": "import charter.judging.labeling",
        "charter.judging.labeling": "",
    },
    "charter.training never imports charter.constitution": {
        "charter.training.run": "from charter.constitution import document",
        "charter.constitution.document": "",
    },
    "charter.feedback never imports charter.evaluate": {
        "charter.feedback": "from charter.evaluate import elo",
        "charter.evaluate.elo": "",
    },
    "charter.judging never imports charter.evaluate": {
        "charter.judging.x": "import charter.evaluate.elo",
        "charter.evaluate.elo": "",
    },
    "charter.training never imports charter.evaluate": {
        "charter.training.x": "import charter.evaluate.elo",
        "charter.evaluate.elo": "",
    },
    "charter.rl never imports charter.evaluate": {
        "charter.rl": "import charter.evaluate.elo",
        "charter.evaluate.elo": "",
    },
    "'report' stays light; reaches torch": {
        "charter.report.page": "from charter.store import x",
        "charter.store": "import torch",
    },
    "'cli' stays light; reaches transformers": {
        "charter.cli": "from charter import pipeline",
        "charter.pipeline": "from transformers import Trainer",
    },
    "circular import of charter.models.a": {
        "charter.models.a": "from charter.models import b",
        "charter.models.b": "from charter.models.a import x",
    },
}


@pytest.mark.parametrize("rule", PLANTED)
def test_the_checker_catches(rule: str) -> None:
    found = violations({"charter": "", **PLANTED[rule]})
    assert any(rule in breach for breach in found), found
    assert all(re.match(r"src/charter/[\w/]+\.py:\d+: ", breach) for breach in found), found


def test_the_checker_resolves_relative_imports() -> None:
    planted = {"charter": "", "charter.records": "from . import rl", "charter.rl": ""}
    assert any("src/charter/records.py:1: layer" in v for v in violations(planted))


def test_the_checker_names_the_line() -> None:
    planted = {"charter": "", "charter.rl": "import json\n\nimport trl\n"}
    assert violations(planted) == [
        "src/charter/rl.py:3: `trl` is touched in `training` only (imports trl)"
    ]


def test_the_checker_leaves_good_code_alone() -> None:
    good = {
        "charter": "",
        "charter.cli": "def f():\n    import charter.pipeline",
        "charter.pipeline": "from charter import sft\nimport torch",
        "charter.sft": "from charter.training.run import train\nfrom charter.records import Prompt",
        "charter.training": "",
        "charter.training.run": "import trl\nfrom charter.training import settings",
        "charter.training.settings": "",
        "charter.records": "",
    }
    assert violations(good) == []


def test_light_modules_import_neither_torch_nor_transformers() -> None:
    names = [module for module in SOURCES if unit_of(module) in LIGHT]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = sys.modules.keys() & {set(HEAVY)!r}\n"
        "    assert not loaded, f'{name} imports {loaded}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", SOURCES)
def test_every_module_imports(module: str) -> None:
    importlib.import_module(module)


def test_every_foreign_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        stated += extra
    declared = {re.split(r"[^\w.-]", requirement)[0] for requirement in stated}
    modules = {
        "ruamel": "ruamel.yaml",
        "sklearn": "scikit-learn",
        "huggingface_hub": "huggingface-hub",
        "prometheus_client": "prometheus-client",
    }
    foreign = {i.target.split(".")[0] for i in imports_of(SOURCES)} - {"charter", "__future__"}
    needed = {modules.get(name, name) for name in foreign - sys.stdlib_module_names}
    assert needed <= declared, needed - declared
