.PHONY: docs-verdict docs-verdict-check
docs-verdict: $(VENV) ## generate docs/verdict.md from the rules and the failure model
	$(BIN)/python -m datapath_probe.publish.report.verdict_page > docs/verdict.md

docs-verdict-check: $(VENV) ## fail if docs/verdict.md does not match the rules
	@$(BIN)/python -m datapath_probe.publish.report.verdict_page | diff -u docs/verdict.md - || { echo "out of date: run make docs-verdict"; exit 1; }
