# The commands people run; `make` lists them. They use the environment that is active: `make install` fills it.
PYTHON ?= python
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install test long lint types docs judge samples figures ci

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install:  ## bnprobe from this folder, with what its tests, checks and documentation need
	$(PYTHON) -m pip install -q -e '.[dev]' -c constraints.txt

test:  ## the short suite, as in the README: about four minutes on two cores
	$(PYTHON) -m pytest -q -n $(WORKERS)

long:  ## the rest of the suite: the fault library, kills, fuzz, every program in every mode
	$(PYTHON) -m pytest -q -n $(WORKERS) -m slow

lint:  ## style and form
	ruff check .
	ruff format --check .

types:  ## mypy, strict
	mypy

docs:  ## the documentation site, without a warning
	mkdocs build --strict

judge:  ## how often the diagnosis is right on the fault library: records what is not kept yet, judges all of it
	$(PYTHON) -m tests.benchmarks.diagnosis --jobs $(WORKERS)

samples:  ## the recordings in tests/faults/samples.tar.xz, anew: when the recorder or the run file has changed
	$(PYTHON) -m tests.faults.samples

figures:  ## the examples and pictures of docs/causes
	$(PYTHON) -m tests.benchmarks.cause_pages

ci:  ## what has to pass before a change lands
	.ci/run
