# Every target installs what it needs by itself: scripts/bootstrap, which is skipped when nothing changed.
# `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test test-live test-vm bench fuzz mutate-checks lint format docs lock rebuild-env

BIN := .venv/bin
WORKERS ?= 2
PYTEST_OPTIONS ?=
# Tests of one file share what they have made; files that take long start first (tests/conftest.py).
BY_FILE := --dist loadfile --no-loadscope-reorder
LOCKED := -q --universal --generate-hashes --no-header pyproject.toml
# How often each kind of process is killed in the live tests: less where nobody waits for it.
KILLS ?= $(if $(CI),5,50)

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: ## build a small real fleet, patch it, attack it, show the proof; everything stays in ./.demo
	@scripts/bootstrap --hosts
	@$(BIN)/answerable demo

test: lint ## every check and every test that needs no live machine
	@$(BIN)/pytest -q -rs -n $(WORKERS) -m 'not live and not vm' $(PYTEST_OPTIONS)

test-live: ## the tests with real processes, sockets, mounts and packages
	@scripts/bootstrap --hosts --dev
	@KILLS=$(KILLS) $(BIN)/pytest -q -rs -n $(WORKERS) $(BY_FILE) -m live \
		$(PYTEST_OPTIONS)

test-vm: ## a real Debian booted by qemu: LVM, a new kernel, a host that stays away (half an hour, emulated)
	@scripts/bootstrap --vm --dev
	@$(BIN)/pytest -q -rs -x -m vm $(PYTEST_OPTIONS) tests/vm

bench: ## measure the numbers; results go to benchmarks/results
	@scripts/bootstrap --dev
	@$(BIN)/python -m benchmarks

fuzz: ## the property tests again, with many more examples (FUZZ_EXAMPLES=20000)
	@scripts/bootstrap --dev
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -q -n $(WORKERS) -m fuzz $(PYTEST_OPTIONS)

mutate-checks: ## disable each of the kernel's checks in turn; exactly its own tests must fail
	@scripts/bootstrap --dev
	@$(BIN)/python -m tests.attacks.mutate

lint: ## ruff, format, types
	@scripts/bootstrap --dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: ## let ruff format and fix what it can
	@scripts/bootstrap --dev
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

docs: ## write docs/cli.md anew from the commands' own help
	@scripts/bootstrap --dev
	@$(BIN)/python -m scripts.cli_docs

lock: ## write both lock files anew from pyproject.toml
	@scripts/bootstrap --dev
	@$(BIN)/uv pip compile $(LOCKED) --group install -o requirements.lock
	@$(BIN)/uv pip compile $(LOCKED) --group dev -c requirements.lock -o requirements-dev.lock
	@scripts/bootstrap --dev

rebuild-env: ## throw .venv away and make it again
	@rm -rf .venv
	@scripts/bootstrap --dev
