# Two commands on a fresh machine: `make up` runs the reference platform, `make test` proves everything.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
SHOP := examples/shop/greenfield.yaml

.PHONY: setup up down test test-cluster check fix bench soak requirements clean

setup: .venv/.ready

.venv/.ready: requirements/bootstrap.txt requirements/dev.txt packages/greenfield/pyproject.toml packages/greenfield-kit/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt requirements/bootstrap.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e packages/greenfield -e packages/greenfield-kit
	$(BIN)/python -m compileall -q packages
	touch $@

up: setup
	$(BIN)/greenfield up -d -f $(SHOP)

down: setup
	$(BIN)/greenfield down -f $(SHOP)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest -n 2 -m "not operators and not soak"

# The first time it builds a control plane and operators from their Go modules: half an hour, out of everybody's way.
test-cluster: setup
	PYTHONPATH=tests nice -n 19 $(BIN)/python -m support.kubernetes_tools
	$(BIN)/python -m pytest -m cluster

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m benchmarks

soak: setup
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m benchmarks soak
	$(BIN)/python -m benchmarks faults

requirements: setup
	$(BIN)/uv pip compile --quiet --upgrade --no-emit-index-url --generate-hashes --python-version 3.11 requirements/dev.in -o requirements/dev.txt --custom-compile-command "make requirements"
	$(BIN)/uv pip compile --quiet --upgrade --no-emit-index-url --generate-hashes --python-version 3.11 requirements/bootstrap.in -o requirements/bootstrap.txt --custom-compile-command "make requirements"

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
