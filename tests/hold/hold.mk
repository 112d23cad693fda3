# Attacks before and after, see docs/threat-model.md. Included by the Makefile.
.PHONY: hold docs-hold
hold: $(VENV) ## attack the operator, compare with bars: build/hold.json (HOLD_ONLY=part of a name); ≈ 4 min, no lab
	@PYTHONPATH=operator:tests $(BIN)/python -m hold

docs-hold: $(VENV) ## put the results of the last make hold into docs/threat-model.md
	@PYTHONPATH=operator:tests $(BIN)/python -m hold --write
