# `make demo` and `make test` set up all they need in .venv; nothing has to be activated.

PYTHON ?= python3
VENV := .venv
# DVC runs the stages through its own PATH: `pipeline` must be found there.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
BIN := $(VENV)/bin/
# The versions that tests and lint are run with; CONSTRAINTS= takes the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
# One process more than cores: many tests wait for a server, or for a program to end.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# What mypy found, shown as a whole beside the tests, and once more at the end if something failed.
TYPES := $(VENV)/types.txt
PYTEST := $(BIN)pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo test quick tests quick-tests test-long test-live coverage lint style types sync lock docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## the program in .venv

demo: $(VENV)/.installed ## all stages on generated drawings: offline, on a CPU, in minutes
	$(BIN)pipeline demo

test: style ## lint, types and all tests but the long ones
	$(MAKE) --jobs 2 types tests || { cat $(TYPES); exit 1; }

quick: style ## lint, types and the tests that take seconds: two minutes
	$(MAKE) --jobs 2 types quick-tests || { cat $(TYPES); exit 1; }

tests: $(VENV)/.installed-dev
	$(PYTEST)

quick-tests: $(VENV)/.installed-dev
	$(PYTEST) -m 'not long and not slow and not live'

test-long: $(VENV)/.installed-dev ## every file operation that fails, and kills by the hundred: hours
	$(PYTEST) -m long

test-live: $(VENV)/.installed-dev ## a few requests to public sites; needs a network
	$(BIN)pytest -m live tests/live

coverage: $(VENV)/.installed-dev ## lines and branches that `make test` reaches
	$(PYTEST) -m 'not long and not live and not limits_files' --cov

lint: style types ## lint and types

style: $(VENV)/.installed-dev
	$(BIN)ruff check
	$(BIN)ruff format --check

types: $(VENV)/.installed-dev
	$(BIN)mypy > $(TYPES) 2>&1; code=$$?; cat $(TYPES); exit $$code

sync: $(VENV)/.installed-dev ## write what is made from code: params.yaml's comments, its schema, reference pages
	$(BIN)python -m stages.sync

lock: ## write constraints.txt: the versions that are installed in .venv; needs uv
	$(BIN)pip freeze --exclude-editable > $(VENV)/freeze.txt
	echo '# The versions with which the tests last passed: pip install -c constraints.txt . Made by make lock.' > $(VENV)/constraints.txt
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11.5 --constraint $(VENV)/freeze.txt \
	  --no-header --no-annotate --no-emit-index-url --quiet >> $(VENV)/constraints.txt
	mv $(VENV)/constraints.txt constraints.txt

docs: $(VENV)/docs/.installed ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict

clean: ## remove .venv, demo and site
	rm -rf $(VENV) demo site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo 'installing into $(VENV): PyTorch and more, up to 6 GB on disk; this takes minutes'
	$(VENV)/bin/python -m pip install --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo 'installing into $(VENV): PyTorch, test tools and more, up to 6 GB on disk; this takes minutes'
	$(VENV)/bin/python -m pip install $(CONSTRAINTS:%=--constraint %) --editable '.[dev]'
	touch $(VENV)/.installed $@

# Of its own: it imports nothing of the program, and shares no versions with it.
$(VENV)/docs/.installed: docs/requirements.txt
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install --requirement $<
	touch $@
