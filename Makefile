# make demo and make test are all that a newcomer needs: each makes the environment first.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first of these that runs and is 3.12 or later; `make PYTHON=…` names one.
CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.14 python3 python)

.PHONY: help env test lint types demo notebooks gallery bench stan clean

help:
	@echo "make demo    make the environment, fit Table 25.3, print the estimates"
	@echo "make test    make the environment, check style and types, run the tests"
	@echo "make env     make the environment in $(VENV) only"
	@echo "make notebooks  run the notebooks and keep their outputs (ten minutes)"
	@echo "make gallery    draw the pictures of docs/gallery.md (a minute; needs Graphviz)"
	@echo "make bench   measure first answer, growth, a million people, studies, peers (an hour with"
	@echo "             every peer, a quarter without: make bench PEERS=no); keep the results"
	@echo "make stan    an environment for the benchmarks' Stan (Python 3.12 or before, a compiler)"
	@echo "make lint    style"
	@echo "make types   types"
	@echo "make clean   remove the environment and caches"

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@for python in $(CANDIDATES); do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then \
			found=$$python; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "bmsem needs Python 3.12 or later, and none was found among: $(CANDIDATES)." >&2; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.13" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version); this takes a minute the first time."; \
	$$found -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

lint: env
	@echo "== style"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: env
	@echo "== types"
	@$(BIN)/mypy

test: lint types
	@echo "== tests"
	@$(BIN)/python -m pytest tests bmsem

demo: env
	@$(BIN)/python -m bmsem demo

notebooks: env
	@$(BIN)/python -m notebooks.execute

gallery: env
	@$(BIN)/python -m docs.gallery

bench: env
	@$(BIN)/python -m benchmarks $(if $(filter no,$(PEERS)),--without-peers)

# PyStan does not run on Python 3.13.
stan:
	@for python in python3.12 python3.11 python3.10; do \
		if $$python --version >/dev/null 2>&1; then $$python -m venv --clear .venv-stan && break; fi; \
	done
	@.venv-stan/bin/python -m pip install --quiet --disable-pip-version-check pystan

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
