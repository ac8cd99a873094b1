# Every target does all set-up it needs and repeats none of it; see tools/prepare.py.
#
#   make demo PYTHON=python3.13      another Python than the first that is found
#   make test ONLY="pytest types"    some parts of the tests; ARGS="-k queue" goes on to pytest
#   make stress TEST=tests/test_queues.py N=200

.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-all conformance lint types docs bench stress chaos soak clean

# Rust's installer puts cargo where only login shells look.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
export PYTHON ARGS

VENV_PYTHON := .venv/bin/python
FIND_AND_PREPARE = python=$$(sh tools/find_python.sh) && "$$python" -m tools.prepare
PREPARE = @$(FIND_AND_PREPARE)

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: ## a virtual environment in .venv with everything that developing needs
	$(PREPARE) dev

build: ## the native module, into src/procession
	$(PREPARE) build

demo: ## the tour: four concepts, then a real job (ARGS="--method spawn")
	$(PREPARE) demo
	@$(VENV_PYTHON) examples/tour.py $(ARGS)

test: ## everything: Rust, Python on every start method, lint, types, import contract
	$(PREPARE) dev
	@$(VENV_PYTHON) -m tools.check $(ONLY)

test-all: ## test, CPython's suite with every Python that is found, programs of others
	$(PREPARE) dev
	@$(VENV_PYTHON) -m tools.check all

# PYTHON says here whose tests are run, the virtual environment stays what it is.
conformance: ## CPython's own tests on procession: PYTHON=python3.13 METHOD=spawn ONLY="TestQueue*"
	@unset PYTHON; $(FIND_AND_PREPARE) dev
	@$(VENV_PYTHON) -m tests.conformance --method $(or $(METHOD),all) --only "$(ONLY)" \
		$(if $(PYTHON),--python "$(PYTHON)")

lint: ## format, lint and import contract
	$(PREPARE) dev
	@$(VENV_PYTHON) -m tools.check lint

types: ## strict types, and the stub against the native module
	$(PREPARE) dev
	@$(VENV_PYTHON) -m tools.check types

docs: ## the documentation, into build/docs; a warning is an error
	$(PREPARE) docs
	@$(VENV_PYTHON) -m tools.check docs

bench: ## measurements side by side with other libraries (ARGS="apply imap --repeats 3")
	$(PREPARE) demo
	@$(VENV_PYTHON) -m tools.peers
	@$(VENV_PYTHON) -m benchmarks.run $(ARGS)

stress: ## one test N times on a busy machine: TEST=... N=200
	$(PREPARE) dev
	@$(VENV_PYTHON) -m tools.stress "$(TEST)" $(or $(N),100)

chaos: ## pools, queues, locks, managers while processes are killed: SECONDS=60 SEED=1
	$(PREPARE) dev
	@$(VENV_PYTHON) -m tests.faults.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(ARGS)

soak: ## a million tasks through one pool, memory and descriptors watched: TASKS=1000000
	$(PREPARE) dev
	@$(VENV_PYTHON) -m tests.faults.soak --tasks $(or $(TASKS),1000000) $(ARGS)

clean: ## remove what was built and the virtual environment
	rm -rf .venv .venv-clients rust/target build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf benchmarks/results src/procession/_core.*.so
	find src tests tools examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
