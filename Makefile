# What CI calls is what you call. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-zA-Z0-9_-]*:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment ---------------------------------------------------------------------------------

$(VENV): $(VENV)/.stamp
$(VENV)/.stamp: requirements-dev.txt pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r requirements-dev.txt
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

.PHONY: lock
lock: ## pin the dependencies anew, by hash and without index addresses
	uv pip compile -q --universal --generate-hashes --no-emit-index-url pyproject.toml -o requirements.txt
	uv pip compile -q --universal --generate-hashes --no-emit-index-url pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

include crds/crds.mk
include tests/lab/lab.mk
include manifests/manifests.mk
