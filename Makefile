# Needs Python 3.11 or newer with pip, and git; everything else is fetched into .venv and build.
PYTHON ?= python3
UV := $(or $(shell command -v uv),build/uv/bin/uv)
RUN := .venv/bin/python -m
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without bytecode torch takes three times as long to import.
export UV_COMPILE_BYTECODE := 1
# PyPI alone, also where a project would use PyTorch's CPU wheels.
export UV_NO_SOURCES := 1
export UV_PYTHON := $(PYTHON)
export PATH := $(abspath $(dir $(UV))):$(PATH)

.PHONY: help install demo check test scoreboard soak bench gpu tags format
help:
	@echo "make demo    scaffold the default project, install it, train it, test it"
	@echo "make check   lint, and the quick tests (2 minutes)"
	@echo "make test    all tests (half an hour on two cores)"
	@echo "make scoreboard  train each task, beside its baseline (10 minutes)"
	@echo "make soak    kill runs a hundred times, and compare how they end (20 minutes)"
	@echo "make bench   what the harness adds to a step"
	@echo "make tags    a git tag for each release in the history, for Copier to find"
	@echo "make gpu     every choice that needs an NVIDIA GPU, for a short real run"

install: .venv/installed
.venv/installed: pyproject.toml | $(UV)
	uv sync --quiet
	touch $@
build/uv/bin/uv:
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv

demo: install
	.venv/bin/python tests/demo.py build/demo

check: install
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pytest -n 2 -m "not slow and not serial"

# Two workers with one thread each, since torch's own threads would fight over the cores; then what measures time.
test: install
	$(RUN) ruff check
	$(RUN) ruff format --check
	OMP_NUM_THREADS=1 $(RUN) pytest -n 2 --dist worksteal -m "not serial"
	$(RUN) pytest -s -m serial

soak: install
	.venv/bin/python tests/soak.py 100

scoreboard: install
	rm -rf build/scoreboard
	.venv/bin/python tests/scoreboard.py build/scoreboard

bench: install
	.venv/bin/python tests/bench.py

gpu: install
	.venv/bin/python tests/gpu.py docs/gpu.md

tags: install
	.venv/bin/python tests/releases.py --tag

format: install
	$(RUN) ruff check --fix
	$(RUN) ruff format
