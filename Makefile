# make demo | test | check | bench | soak: each makes what it needs first.

# The first Python from 3.11 on that really runs (a version manager's stub may not).
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST ?= $(BIN)/python -m pytest

.PHONY: help demo test check bench soak system clean

help:
	@echo "make demo    the bundled site, its monitor and the dashboard"
	@echo "make test    all tests (makes $(VENV), installs what they need)"
	@echo "make check   ruff, mypy, import contracts"
	@echo "make bench   benchmarks beside wrk, hey, ab and Locust"
	@echo "make soak    the longer tests"

demo: $(VENV)/.run
	$(BIN)/loadwatch demo

test: $(VENV)/.dev system
	$(PYTEST) -m "not soak"

soak: $(VENV)/.dev system
	$(PYTEST) -m soak -s --timeout 3600

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev system
	NEEDS="wrk hey ab" sh tests/system.sh
	$(BIN)/python -m pip install --quiet --group bench
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m benchmarks.closed_loop
	$(BIN)/python -m benchmarks.open_loop --beside-hey
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.rendering
	$(BIN)/python -m benchmarks.sampling
	$(BIN)/python -m benchmarks.chart
	$(BIN)/python -m benchmarks.parsing
	$(BIN)/python -m benchmarks.recording
	$(BIN)/python -m benchmarks.dashboard
	$(BIN)/python -m benchmarks.monitor_cost

# The programs that the tests run for real: installed where that is possible, named where not.
system:
	@sh tests/system.sh

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "loadwatch needs Python 3.11 or newer"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.run: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
