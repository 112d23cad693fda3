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

# --- tests ---------------------------------------------------------------------------------------

PYTEST := $(BIN)/pytest --durations=5
RESULTS := build/results

.PHONY: test
test: lint types layers generated rules-test ## all of it; what CI calls
	@rm -rf $(RESULTS)
	@status=0; for suite in unit integration e2e; do \
		$(MAKE) --no-print-directory $$suite || status=1; \
	done; \
	$(BIN)/python tests/closing_count.py $(RESULTS) || status=1; exit $$status

.PHONY: lint
lint: $(VENV) ## style, by ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV) ## types, by mypy
	$(BIN)/mypy

.PHONY: layers
layers: $(VENV) ## the direction of imports, by import-linter
	$(BIN)/lint-imports

.PHONY: generated
generated: crds-check docs-errors-check ## that generated files are what they should be

.PHONY: unit
unit: $(VENV) ## pure code
	$(PYTEST) tests/unit --junitxml=$(RESULTS)/unit.xml

.PHONY: integration
integration: $(VENV) lab-programs ## against a real API server
	$(PYTEST) tests/integration --junitxml=$(RESULTS)/integration.xml

.PHONY: e2e
e2e: $(VENV) ## the operator on the lab; LAB_KEEP=1 takes the lab that is up
	@if reason=$$($(LAB) possible); then \
		{ [ -n "$$LAB_KEEP" ] || $(LAB) up --fresh; } && $(PYTEST) tests/e2e --junitxml=$(RESULTS)/e2e.xml; \
		status=$$?; [ -n "$$LAB_KEEP" ] || $(LAB) down; exit $$status; \
	else \
		echo "e2e skipped: $$reason"; $(PYTEST) tests/e2e --junitxml=$(RESULTS)/e2e.xml; \
	fi

# the API server that integration tests need; where no lab is possible they are skipped
.PHONY: lab-programs
lab-programs: $(VENV)
	@if $(LAB) possible >/dev/null; then $(LAB) build; fi

.PHONY: fmt
fmt: $(VENV) ## put code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

include crds/crds.mk
include tests/lab/lab.mk
include manifests/manifests.mk
include docs/errors.mk
