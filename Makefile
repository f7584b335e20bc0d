# `make demo` and `make test` set up all they need in .venv; nothing has to be activated.

PYTHON ?= python3
VENV := .venv
# DVC runs the stages through its own PATH: `pipeline` must be found there.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: demo test test-long coverage lint clean

demo: $(VENV)/.installed
	pipeline demo

test: $(VENV)/.installed-dev lint
	pytest -n auto --dist loadfile

# Every file operation that fails, and kills by the hundred: for hours.
test-long: $(VENV)/.installed-dev
	pytest -n auto --dist loadfile -m long

coverage: $(VENV)/.installed-dev
	pytest -n auto --dist loadfile --cov

lint: $(VENV)/.installed-dev
	ruff check
	ruff format --check
	mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) demo
