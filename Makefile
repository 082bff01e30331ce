# Needs Python 3.11 or newer with pip, and git. Everything else is installed into .venv and build.
PYTHON ?= python3
UV := $(or $(shell command -v uv),build/uv/bin/uv)
RUN := .venv/bin/python -m
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without bytecode, torch takes three times as long to import.
export UV_COMPILE_BYTECODE := 1
# PyPI only, even where a project would use PyTorch's CPU wheels.
export UV_NO_SOURCES := 1
export UV_PYTHON := $(PYTHON)
export PATH := $(abspath $(dir $(UV))):$(PATH)

.PHONY: help install demo check test scoreboard pictures soak bench versions gpu tags format
help:
	@echo "make demo        render the default project, install it, train it, test it"
	@echo "make check       lint, and the quick tests (3 minutes)"
	@echo "make test        all tests (40 minutes on two cores)"
	@echo "make format      fix and format the code"
	@echo "make scoreboard  train every task for three seeds, and write docs/scoreboard.md (40 minutes)"
	@echo "make pictures    draw the pictures of README.md from real runs"
	@echo "make soak        interrupt runs, and random ways of training, hundreds of times (80 minutes)"
	@echo "make bench       the cost of the harness, as ratios"
	@echo "make versions    each task's own tests with other Pythons and the oldest packages (60 minutes)"
	@echo "make gpu         a short real run of every choice that needs an NVIDIA GPU"
	@echo "make tags        a git tag for each release in the history, which Copier looks for"

# Options of `uv sync`, such as SYNC="--resolution lowest-direct"; only where .venv is not there yet.
SYNC ?=

install: .venv/installed
.venv/installed: pyproject.toml | $(UV)
	uv sync --quiet $(SYNC)
	touch $@
build/uv/bin/uv:
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv

demo: install
	$(RUN) tools.demo build/demo

check: install
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pytest -n 2 -m "not slow"

# Two workers with one thread each, since more threads would compete for the cores.
test: install
	$(RUN) ruff check
	$(RUN) ruff format --check
	OMP_NUM_THREADS=1 $(RUN) pytest -n 2 --dist worksteal

format: install
	$(RUN) ruff check --fix
	$(RUN) ruff format

scoreboard: install
	rm -rf build/scoreboard
	OMP_NUM_THREADS=1 $(RUN) tools.scoreboard build/scoreboard

pictures: install
	$(RUN) tools.pictures build/pictures

soak: install
	$(RUN) tools.soak 100
	$(RUN) tools.fuzz 500

bench: install
	$(RUN) tools.bench

versions: install
	$(RUN) tools.versions build/versions 3.11 lowest-direct
	$(RUN) tools.versions build/versions 3.12 highest
	$(RUN) tools.versions build/versions 3.13 highest

gpu: install
	$(RUN) tools.gpu docs/gpu.md

tags:
	$(PYTHON) -m tools.tags
