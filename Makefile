# Every target sets up what it needs. The README says what each is for.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PYTEST := $(PY) -m pytest -n auto -q
SOURCES := $(shell find src -name '*.pyx' -o -name '*.pxd') setup.py
# A variant's folder holds copies of the modules that are not compiled, too.
COPIED := $(shell find src -name '*.py')
CHECKED := src tests bench docs examples setup.py
# The folder a variant of the compiled modules is built into, beside the one in src/.
VARIANT = build/$(1)/lib

.PHONY: run build test check format bench debug sanitize soak clean

$(VENV)/.stamp: pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q -U 'pip>=25.1'
	$(PY) -m pip install -q --group dev
	touch $@

build/release/.stamp: $(VENV)/.stamp $(SOURCES)
	$(PY) -m pip install -q --no-build-isolation -e .
	$(PY) -m compileall -q src
	mkdir -p $(@D) && touch $@

build/debug/.stamp build/sanitize/.stamp: build/%/.stamp: $(VENV)/.stamp $(SOURCES) $(COPIED)
	SPINELDB_VARIANT=$* $(PY) setup.py -q build --build-base build/$*/temp \
		--build-lib $(call VARIANT,$*) -j$$($(PY) -c 'import os; print(os.cpu_count())')
	touch $@

build: build/release/.stamp

run: build
	$(BIN)/spineldb

test: build
	$(PYTEST) tests

check: build
	$(BIN)/ruff format --check -q $(CHECKED)
	$(BIN)/ruff check -q $(CHECKED)
	PATH=$(BIN):$$PATH cython-lint src
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(PY) --warnings
	$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml --ignore-missing-stub \
		--ignore-disjoint-bases --concise \
		spineldb.core spineldb.clock
	$(PYTEST) tests/architecture

format: $(VENV)/.stamp
	$(BIN)/ruff check --fix-only -q $(CHECKED)
	$(BIN)/ruff format -q $(CHECKED)

# All rows into the report, or with ROWS="cpu.get stall" some of them onto the screen.
bench: build
	$(PY) -m bench $(if $(ROWS),$(ROWS),--report docs/benchmarks.md)

debug: build/debug/.stamp
	PYTHONPATH=$(call VARIANT,debug) $(PYTEST) tests

soak: build
	SPINELDB_SOAK=1 $(PYTEST) --timeout 3600 tests

# Both runtimes first, Python's own allocator out of the way, our slabs poisoned by the allocator.
# The fuzz goes on for five minutes; SPINELDB_FUZZ_SECONDS says otherwise. Reports are not captured.
sanitize: build/sanitize/.stamp
	PYTHONPATH=$(call VARIANT,sanitize) PYTHONMALLOC=malloc \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	SPINELDB_FUZZ_SECONDS=$${SPINELDB_FUZZ_SECONDS:-300} $(PY) -m pytest -q -p no:xdist --capture=sys --timeout 900 \
		tests/sanitize tests/unit/core tests/property tests/faults tests/fuzz/test_direct.py

clean:
	rm -rf build
