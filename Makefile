# Everything a machine needs is make, a POSIX shell and Python 3.11 or later: `make report`, `make test`.
# The tools live in .venv, at the versions and hashes of requirements.lock; delete it with `make clean`.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
PYTEST := $(BIN)/python -m pytest -q
ALL_TESTS := tests src $(if $(NOTEBOOKS),--nbmake $(NOTEBOOKS))
# The quick tests run in two halves of about the same length, one for each of two processors.
FIRST := tests/checks tests/cli tests/data tests/effects tests/image tests/plots tests/report
SECOND := tests src $(addprefix --ignore=,$(FIRST)) $(if $(NOTEBOOKS),--nbmake $(NOTEBOOKS))

# The interpreter that .venv is made from; choose another with `make test PYTHON=/path/to/python`.
PYTHON ?=

# The tests start the program some hundred times; where Python may not keep what it compiled, each start compiles anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup report test test-first test-second test-all lint types bench fuzz gallery lock clean

help:
	@echo "make report    set up, pool data/trials.csv and write report/"
	@echo "make test      set up, then lint, types and the quick tests with the notebooks"
	@echo "make test-all  the same with the slow tests"
	@echo "make lint      ruff: rules and format        make types  pyright"
	@echo "make bench     timings of benchmarks/        make lock   requirements.lock anew (needs uv)"
	@echo "make fuzz      damaged files and random tables for the reader, 15 minutes or MINUTES=..."
	@echo "make gallery   every figure as a picture in docs/gallery/, with the line that makes it"
	@echo "make setup     only the set-up               make clean  remove .venv, caches and report/"

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@python="$(PYTHON)"; \
	for name in python3.13 python3.12 python3.11 python3; do \
	  test -n "$$python" && break; \
	  if $$name -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$name; fi; \
	done; \
	if test -z "$$python"; then echo "no Python 3.11 or later with venv was found; name one: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; fi; \
	echo "setting up $(VENV) with $$($$python --version)"; \
	$$python -c 'import sys; sys.exit("metaback needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'  && \
	$$python -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

report: $(STAMP)
	$(BIN)/metaback pool data/trials.csv --plan data/plan.toml --out report/

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python

test: lint
	@$(MAKE) --no-print-directory --jobs 3 --keep-going types test-first test-second

test-first: $(STAMP)
	$(PYTEST) -m "not slow" $(FIRST)

test-second: $(STAMP)
	$(PYTEST) -m "not slow" $(SECOND)

test-all: lint types
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-long} $(PYTEST) $(ALL_TESTS)

bench: $(STAMP)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/run.py

MINUTES ?= 15
SEED ?= 1
fuzz: $(STAMP)
	$(BIN)/python tests/fuzz/fuzz_reader.py --minutes $(MINUTES) --seed $(SEED)

gallery: $(STAMP)
	$(BIN)/python docs/gallery/build.py

lock:
	uv pip compile pyproject.toml --extra dev --extra excel --extra docx --extra pdf --universal \
	  --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --upgrade \
	  --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) report .pytest_cache .ruff_cache .hypothesis .benchmarks
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
