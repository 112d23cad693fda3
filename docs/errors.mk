.PHONY: docs-errors docs-errors-check
docs-errors: $(VENV) ## generate docs/errors.md from the reason catalog
	$(BIN)/python -m datapath_probe.publish.report.error_page > docs/errors.md

docs-errors-check: $(VENV) ## fail if docs/errors.md does not match the catalog
	@$(BIN)/python -m datapath_probe.publish.report.error_page | diff -u docs/errors.md - || { echo "out of date: run make docs-errors"; exit 1; }
