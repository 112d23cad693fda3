.PHONY: docs-architecture docs-architecture-check
docs-architecture: $(VENV) ## draw docs/architecture.svg from the import graph
	PYTHONPATH=tests $(BIN)/python -m architecture docs/architecture.svg

docs-architecture-check: $(VENV) ## fail if docs/architecture.svg does not match the import graph
	@PYTHONPATH=tests $(BIN)/python -m architecture --check docs/architecture.svg
