# Every target sets up what it needs; see the README.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src -name '*.pyx' -o -name '*.pxd') setup.py
STAMP := build/release/.stamp

.PHONY: run build test check bench format clean

$(VENV)/.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -U 'pip>=25.1'
	$(BIN)/python -m pip install -q --group dev
	touch $@

$(STAMP): $(VENV)/.stamp $(SOURCES)
	$(BIN)/python -m pip install -q --no-build-isolation -e .
	mkdir -p $(@D) && touch $@

build: $(STAMP)

run: build
	$(BIN)/spineldb

test: build
	$(BIN)/python -m pytest -n auto tests

format: $(VENV)/.stamp
	$(BIN)/ruff check --fix-only -q src tests bench setup.py; $(BIN)/ruff format -q src tests bench setup.py

check: build
	$(BIN)/ruff format --check -q src tests bench setup.py
	$(BIN)/ruff check -q src tests bench setup.py
	$(BIN)/cython-lint -q src
	$(BIN)/mypy
	$(BIN)/pyright

# All rows, into the report; or some, as in `make bench ROWS="cpu.get stall"`. The peers'
# programs are named by SPINELDB_REDIS8, SPINELDB_VALKEY9 and SPINELDB_REDIS7.
bench: build
	$(BIN)/python -m bench $(or $(ROWS),--report docs/benchmarks.md)

clean:
	rm -rf build
