# Set-up, demo and checks. Needs Python 3.11+ with its venv module, and nothing else.
# `make` alone lists the targets and the settings.

PYTHON ?= python3
DEMO_OUT ?= demo-output
WORKERS ?= 2

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --constraint constraints.txt \
  $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format clean distclean

help: ## list the targets
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "Settings (make TARGET NAME=value):"
	@echo "  PYTHON=$(PYTHON)           the interpreter that creates .venv, 3.11 or newer"
	@echo "  DEMO_OUT=$(DEMO_OUT)     where the demo writes"
	@echo "  WORKERS=$(WORKERS)                test processes"
	@echo "  TORCH_INDEX_URL=$(TORCH_INDEX_URL)         a package index with the torch build you want (CPU only,"
	@echo "                           a CUDA version); without it, pip's own choice"

install: .venv/.installed-dev ## install everything, with the tools for development

demo: .venv/.installed-dna ## generate guided DNA with the bundled model (about 3 minutes)
	$(BIN)/python -m dna.demo --out $(DEMO_OUT)

test: lint ## lint, then all tests and doctests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)
	@echo "==> All checks passed."

lint: .venv/.installed-dev ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/.installed-dev ## rewrite the source in the house style
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

clean: ## remove caches, builds and the demo's output; keep .venv
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache $(DEMO_OUT)
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv too
	rm -rf .venv *.egg-info

.venv: $(BIN)/python

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "seqflow needs Python 3.11 or newer, but $(PYTHON) is: $$($(PYTHON) --version 2>&1)"; \
	  echo "Install a newer Python, or name one: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	  exit 1; } >&2
	@echo "==> Creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "$(PYTHON) cannot create environments: on Debian or Ubuntu, install python3-venv."; \
	  exit 1; } >&2

# One stamp an extra: a second run is instant, and a changed requirement installs again.
.venv/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> Installing seqflow[$*] into .venv (the first time takes some minutes)"
	$(PIP_INSTALL) --editable '.[$*]'
	@touch $@
	@echo "==> Installed: $(BIN)/seqflow, see $(BIN)/seqflow --help"
