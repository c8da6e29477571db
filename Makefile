# make demo: from nothing to a page served through the balancer.   make test: every test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
TESTS ?=

.PHONY: help demo undo-demo test fast real lab campaign fuzz bench check fix clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: ## Boot a lab, deploy the example, fetch its page through the balancer
	@tools/demo.sh

undo-demo: ## Take the lab of the demo away
	@tools/demo.sh --undo

test: ## Set up and run every test, the lab's included
	@tools/test.sh all

fast: .venv/.ready ## The tests that need neither lab nor root
	@tools/test.sh fast $(TESTS)

real: .venv/.ready ## The tests with real programs on loopback: etcd, nginx, sshd
	@tools/test.sh real $(TESTS)

lab: .venv/.ready ## The tests on the lab's machines
	@tools/test.sh lab $(TESTS)

campaign: .venv/.ready ## Every fault at every stage of a deploy, on the lab's machines, and a table of how it went
	@tools/test.sh campaign $(TESTS)

fuzz: .venv/.ready ## Every property on many examples, for SECONDS (300), from SEED (1) on
	@tools/fuzz.sh $(or $(SECONDS),300) $(or $(SEED),1)

bench: .venv/.ready ## Measure the budgets; with root on Linux those of the lab as well
	$(BIN)/python -m bench $(BENCH)

check: .venv/.ready ## Format, lint, types, layers, shell scripts
	$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	git ls-files -z '*.sh' .ci/run | xargs -0 $(BIN)/shellcheck

fix: .venv/.ready ## Format and mend what can be mended by a tool
	$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format --quiet .

clean: ## Remove what building and testing left in this folder
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: pyproject.toml constraints.txt
	@tools/setup.sh python
