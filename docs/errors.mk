.PHONY: docs-errors docs-errors-check
docs-errors: $(VENV) ## write docs/errors.md anew from the reason catalogue
	$(BIN)/python -m datapath_probe.publish.report.error_page > docs/errors.md

docs-errors-check: $(VENV) ## fail if docs/errors.md is not what the catalogue says
	@$(BIN)/python -m datapath_probe.publish.report.error_page | diff -u docs/errors.md - || { echo "out of date: run make docs-errors"; exit 1; }
