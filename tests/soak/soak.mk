# The soak, see docs/soak.md. Included by the Makefile.
.PHONY: soak
soak: $(VENV) ## probe while everything is rolled out, restarted, drained: build/soak.json (SOAK_S=…)
	@tests/soak/run.sh $(BIN)/python
