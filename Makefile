# Everything runs from .venv, so a fresh machine needs only Python 3.11 or later and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test lint bench fuzz clean

install: $(STAMP)

# torch comes first and alone: torchvision and open_clip then find the pinned build in place.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[clip,observers,d3m,data,plot,dev]'
	@touch $(STAMP)

demo: install
	$(BIN)/ddcodec demo

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python tests/bench/bench_startup.py
	$(BIN)/python tests/bench/bench_outer_step.py
	$(BIN)/python tests/bench/bench_decode.py
	$(BIN)/python tests/bench/bench_d3m.py

# Mutated files into the reader, guided by coverage where atheris is installed: make fuzz SECONDS=3600
SECONDS ?= 60
fuzz: install
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
