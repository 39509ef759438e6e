# Two commands are all that a newcomer needs: `make demo` and `make test`.
# Each sets up .venv by itself, once; PYTHON picks the interpreter (3.11 or newer).

export FLWR_TELEMETRY_ENABLED := 0
# uv leaves compiling to the first import. Where nothing may be written, all of the many processes
# of a run would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS := $(VENV)/.docs
PYTHONS := $(shell sed -n 's/.*Python :: \([0-9.]*\)".*/\1/p' pyproject.toml)
OLDEST := .venv-oldest
OLDEST_FLWR := $(shell sed -n 's/.*"flwr>=\([0-9.]*\),.*/\1/p' pyproject.toml)
# flwr 1.30 keeps an exception of a ServerApp's thread to itself, so two tests cannot see it there.
SIMULATION := tests/flower/test_simulation.py
FLOWER_TESTS := tests/flower tests/doctor tests/serverless/test_serverless_peer.py \
	--ignore tests/flower/test_projects_run.py --ignore tests/flower/test_flwr_run.py \
	--deselect $(SIMULATION)::test_a_client_function_that_raises_ends_the_run \
	--deselect $(SIMULATION)::test_relays_must_match

.PHONY: demo test test-quick test-pythons test-oldest test-projects lint docs dist benchmark clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make demo       100 devices peer to peer beside FedAvg and centralized training, on digits"
	@echo "make test       formatting, lint, types and all tests"
	@echo "make test-quick  the tests that take no more than some seconds each"
	@echo "make test-pythons  the same with every Python that is named as tested"
	@echo "make test-oldest  what talks to flwr, with the oldest flwr that is supported"
	@echo "make test-projects  the sample projects alone, in one process and by flwr run"
	@echo "make docs       the site, into site/"
	@echo "make dist       source and wheel, into dist/"
	@echo "make benchmark  seconds a round, P2PL against FedAvg"

# uv installs in seconds where pip takes minutes; it lives in the environment itself.
$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[simulation,dev]"
	touch $@

demo: $(READY)
	$(BIN)/python -m simulations compare demo

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

# What is quick: no Ray, no SuperLink, no networks of processes.
test-quick: $(READY)
	$(BIN)/python -m pytest -m "not slow"

# In an environment for each: python3.12 and the like must be there.
test-pythons:
	for version in $(PYTHONS); do \
		$(MAKE) test-quick VENV=.venv-$$version PYTHON=python$$version || exit 1; \
	done

# The other end of the range of flwr: what talks to it, in an environment of its own.
$(OLDEST)/.ready: pyproject.toml $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python --editable ".[simulation,dev]" \
		"flwr[simulation]==$(OLDEST_FLWR).*"
	touch $@

test-oldest: $(OLDEST)/.ready
	$(OLDEST)/bin/python -m pytest $(FLOWER_TESTS)

test-projects: $(READY)
	$(BIN)/python -m pytest -m "" tests/flower/test_projects.py tests/flower/test_projects_run.py

# The site, into site/: warnings are errors, and it loads nothing from elsewhere.
$(DOCS): pyproject.toml $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[simulation,dev,docs]"
	touch $@

docs: $(DOCS)
	$(BIN)/python -m simulations.readme --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# What is published: the source and the wheel, with what describes them checked.
dist: $(READY)
	rm -rf dist
	$(BIN)/uv build --quiet
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

benchmark: $(READY)
	$(BIN)/python -m benchmarks.round_seconds

clean:
	rm -rf $(VENV) $(PYTHONS:%=.venv-%) $(OLDEST) results site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
