# One command each; every target first sets up what it needs.   make lab | test | quick | check | bench | bench-pictures | mutants | soak | install | constraints | clean

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python of 3.11 or newer on the PATH. Another one: make install PYTHON=/path/to/python3.12
PYTHON = $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Units, the promises over generated worlds, and conversations with the real programs.
QUICK := ikdemo tests/spi tests/reconcile tests/disk tests/rpc tests/property tests/wire
# Processes that run tests side by side: auto is two more than there are cores. One after the other: make test WORKERS=0
WORKERS = auto
# A thousand processes of a test run would each compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
STAMP := $(VENV)/installed
LAB_STAMP := $(VENV)/installed-lab

.PHONY: help install lab test quick check bench bench-pictures mutants soak image constraints clean

help:
	@echo "make lab            open your copy of the notebooks in JupyterLab (LAB_ARGS=--no-browser for a machine without a screen)"
	@echo "make test           run the checks and every test (TEST_ARGS='-k heal' for some of them)"
	@echo "make quick          the tests that need a minute: units, promises, the wire"
	@echo "make check          style, types, import floors and spelling only"
	@echo "make bench          measure how fast it is on this machine, beside floors and targets"
	@echo "make bench-pictures draw the latest figures that are kept, and write them into docs/performance.md"
	@echo "make mutants        plant small bugs, one at a time, and see that the test named for each fails (MUTANTS=planner for some)"
	@echo "make soak           kill instances and plugins for an hour (SOAK_ARGS='--minutes 5'), then run the long forms of the tests"
	@echo "make image          build the lab's image, test it, and note what it was made of (root, mmdebstrap, three minutes)"
	@echo "make install        create $(VENV) and install everything there, the tests' tools as well; the others do it themselves"
	@echo "make constraints    renew the pinned versions"
	@echo "make clean          remove $(VENV) and every cache"

install: $(STAMP)

# Done once, and again whenever the dependencies, their pins or what is installed for JupyterLab change. A learner needs a part only.
INSTALLED := pyproject.toml constraints.txt install.py $(wildcard ikdemo/desk/overrides.json ikdemo/desk/*/* ikdemo/desk/*/static/*)

define environment
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found. On Debian or Ubuntu: apt install python3-venv." \
		"Elsewhere: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing into $(VENV); the first time takes about a minute."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
endef

$(STAMP): $(INSTALLED)
	$(environment)
	@$(BIN)/python install.py dev
	@touch $@ $(LAB_STAMP)

$(LAB_STAMP): $(INSTALLED)
	$(environment)
	@$(BIN)/python install.py lab
	@touch $@

lab: $(LAB_STAMP)
	@exec $(BIN)/ikdemo lab -- $(LAB_ARGS)

test: check
	@PYTHONPATH=tests $(BIN)/python -m machine
	$(BIN)/python -m pytest -n $(WORKERS) $(TEST_ARGS)

quick: install
	$(BIN)/python -m pytest -p no:nbval -n $(WORKERS) $(QUICK) $(TEST_ARGS)

image: install
	IKDEMO_IMAGE_TEST=1 $(BIN)/python -m pytest tests/engine/test_lab_image.py
	PYTHONPATH=tests $(BIN)/python -m engine.image_inputs

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: install
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-pictures: install
	$(BIN)/python -m benchmarks.pages

mutants: install
	PYTHONPATH=tests $(BIN)/python -m mutants $(MUTANTS)

soak: install
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)
	IKDEMO_SOAK=1 $(BIN)/python -m pytest -n $(WORKERS) tests/property tests/simulation tests/faults \
		tests/engine/test_lab_image.py $(TEST_ARGS)

# The closure of pyproject.toml in a fresh environment, resolved with the oldest Python that is supported, so that the pins hold
# for all: make constraints PYTHON=python3.11
constraints:
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(PYTHON) -m venv "$$fresh" && \
	renew() { { sed '/^[^#]/,$$d' "$$2"; "$$fresh/bin/pip" freeze --exclude ikdemo; } >"$$fresh/pins" && cp "$$fresh/pins" "$$2"; } && \
	pin() { "$$fresh/bin/pip" install --quiet --disable-pip-version-check ".[$$1]" && renew "$$@"; } && \
	pin lab binder/requirements.txt && pin dev constraints.txt

clean:
	rm -rf $(VENV) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
