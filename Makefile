# Everything runs from .venv, so a fresh machine needs only Python 3.11 or later and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-pythons js viewer lint docs bench results fuzz clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Install ddcodec and all its tools into .venv

# torch comes first and alone: torchvision and open_clip then find the pinned build in place.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[clip,observers,d3m,data,h5,plot,dev,docs]'
	@touch $(STAMP)

demo: install ## Encode real digits for a minute, look at the file, train on it
	$(BIN)/ddcodec demo

# Two workers of one thread each.
PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal

test: install js ## Run the tests, in some five minutes on two cores
	$(PYTEST) -m "not slow"

test-all: install js ## Run all tests, those that take long too
	$(PYTEST)

test-pythons: install ## Run what needs no torch on the other Pythons that this machine has
	$(BIN)/python tests/on_every_python.py

# It has no dependency, so Node is all it takes; NODE_REQUIRED=1 fails without.
js: ## Test the JavaScript reader, where Node 20 or later is there
	@if node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; then \
		cd spec/js && node --test --test-reporter=dot; \
	else \
		echo "spec/js is not tested: it takes Node 20 or later"; test -z "$(NODE_REQUIRED)"; \
	fi

viewer: ## Build the page that shows a file, after a change in examples/viewer or spec/js
	npm ci --silent --prefix examples/viewer
	node examples/viewer/build.mjs

lint: install docs ## Check style, types and layers, and build the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The variable silences the theme's notice of a successor; it needs no network either way.
docs: install ## Build the documentation into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: install ## Run the benchmarks of start-up, encoding and decoding
	$(BIN)/python tests/bench/bench_startup.py
	$(BIN)/python tests/bench/bench_outer_step.py
	$(BIN)/python tests/bench/bench_decode.py
	$(BIN)/python tests/bench/bench_d3m.py

# Hours for all; ARGS='--only digits' for some of them, ARGS=--help for what else there is.
ARGS ?=
results: install ## Measure the published files again, and write the tables of the pages
	$(BIN)/python docs/remeasure.py $(ARGS)

# Guided by coverage where atheris is installed: make fuzz SECONDS=3600
SECONDS ?= 60
fuzz: install ## Feed mutated files to the reader for SECONDS=60
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS)

clean: ## Remove .venv and everything that was built
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
