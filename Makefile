# Everything a checkout needs. Each target sets up what it needs, once; again when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The venv's own programs first: tests start `wampy` and `supervisorctl` by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup up test fast lint types wheel-test coverage docs bench soak clean

help:
	@echo 'make up     set up and run wampy.toml in the foreground, until Ctrl-C'
	@echo 'make test   every test, those against a real Crossbar too (fast: unit and property tests only)'
	@echo 'make lint   ruff: check and format'
	@echo 'make types  mypy, strict'
	@echo 'make coverage  how much of what decides and parses the fast tests reach'
	@echo 'make docs   the reference of the public names, from their docstrings, into build/docs'
	@echo 'make bench  the comparisons of benchmarks/, into benchmarks/results/'
	@echo 'make soak   ten minutes of the Router at full load, ten of a stack under faults, a million calls'
	@echo 'make clean  remove the venvs and what was built'

# --- the venvs ---------------------------------------------------------------------------------------------------

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "wampy needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11" >&2; exit 1; }
	@echo '== Installing wampy and its tools into $(VENV) (once; about a minute)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Crossbar brings 140 packages with old pins, so it has a venv of its own. Its stamp holds what was asked for: a change of
# pyproject.toml that does not concern Crossbar installs nothing. bjdata comes first, without its extension and never as a
# wheel that pip built with it some time: built for another NumPy it prints a traceback whenever Crossbar starts.
CROSSBAR_WANTED := $(BIN)/python -c 'import tomllib; \
  print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["crossbar"])'

.venv-crossbar/.installed: pyproject.toml $(VENV)/.installed
	@wanted="$$($(CROSSBAR_WANTED))"; \
	if [ -x .venv-crossbar/bin/crossbar ] && [ "$$(cat $@ 2>/dev/null)" = "$$wanted" ]; then touch $@; else \
	  echo "== Installing $$wanted into .venv-crossbar (once; 140 packages, 377 MB, one to three minutes)"; \
	  { test -x .venv-crossbar/bin/python || $(PYTHON) -m venv .venv-crossbar; } && \
	  PYBJDATA_NO_EXTENSION=1 .venv-crossbar/bin/python -m pip install --disable-pip-version-check --quiet \
	    --no-cache-dir --no-binary bjdata 'bjdata>=0.6' && \
	  .venv-crossbar/bin/python -m pip install --disable-pip-version-check $$wanted && \
	  .venv-crossbar/bin/python -m compileall -q .venv-crossbar/lib >/dev/null 2>&1; \
	  .venv-crossbar/bin/crossbar version >/dev/null && echo "$$wanted" > $@; fi

# Clients of others, which the Router's tests run against it: those for Python in a venv, those for Node
# beside them: outside of tests/, which `wheel-test` copies. What is optional there only makes them faster, compiled.
CLIENTS := tests/integration/wampy/router/interop

.venv-clients/.installed: $(addprefix $(CLIENTS)/,requirements.txt package.json package-lock.json) $(VENV)/.installed
	@node -e 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 || { \
	  echo "the tests run WAMP clients under Node, and need node and npm, 18 or newer; here node is" \
	    "$$(node --version 2>/dev/null || echo missing), npm $$(npm --version 2>/dev/null || echo missing)" >&2; exit 1; }
	@echo '== Installing WAMP clients of others into .venv-clients (once; 80 packages, half a minute)'
	@test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	@.venv-clients/bin/python -m pip install --disable-pip-version-check --quiet --requirement $(CLIENTS)/requirements.txt
	@cp $(CLIENTS)/package.json $(CLIENTS)/package-lock.json .venv-clients/
	@npm ci --prefix .venv-clients --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

setup: $(VENV)/.installed .venv-crossbar/.installed .venv-clients/.installed

# --- the main job ----------------------------------------------------------------------------------------------------

# The built-in Router needs no Crossbar; a manifest that asks for one does.
up: $(VENV)/.installed
	@if grep -Eq '^type = "crossbar"' wampy.toml; then $(MAKE) --no-print-directory setup; fi
	@exec $(BIN)/wampy up

# --- the checks ------------------------------------------------------------------------------------------------------

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

test: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS)

fast: $(VENV)/.installed
	$(BIN)/python -m pytest tests/test_architecture.py tests/unit tests/property $(PYTEST_ARGS)

# What decides and what parses is to be covered by tests that need no Router. The rest is seen at work by the other tiers, in
# processes that are killed: a percentage there would measure the killing.
DECIDES := orchestrator/core/*,orchestrator/router/*,wampy/messages/*,wampy/protocol/*

coverage: $(VENV)/.installed
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests/unit tests/property -q $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='$(DECIDES)' --fail-under=95

# The fast tiers once more, against the wheel as users get it. The tests are copied to where the packages are not, so that
# a file that the wheel lacks is missed here.
wheel-test: $(VENV)/.installed
	@echo '== Building the wheel, and installing it into .venv-wheel'
	@rm -rf build .venv-wheel && mkdir -p build/wheel-test
	@$(BIN)/python -m build --wheel --outdir build/dist .
	@$(PYTHON) -m venv .venv-wheel
	@.venv-wheel/bin/python -m pip install --disable-pip-version-check --quiet "$$(echo build/dist/*.whl)[dev]"
	@cp -R tests docs README.md pyproject.toml build/wheel-test/
	cd build/wheel-test && PATH=$(CURDIR)/.venv-wheel/bin:$$PATH ../../.venv-wheel/bin/python -m pytest \
	  tests/test_architecture.py tests/unit tests/property $(PYTEST_ARGS)

docs: $(VENV)/.installed
	@rm -rf build/docs
	$(BIN)/python docs/reference.py build/docs
	@echo 'written: build/docs/index.html'

bench: setup
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

soak: setup
	$(BIN)/python -m benchmarks.router_soak $(ROUTER_SOAK_ARGS)
	$(BIN)/python -m benchmarks.stack_soak $(SOAK_ARGS)
	$(BIN)/python -m benchmarks.client_soak

clean:
	rm -rf .venv .venv-clients .venv-crossbar .venv-rivals .venv-wampy-1 .venv-wheel build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
