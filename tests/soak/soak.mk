# The soak and the load test, see docs/soak.md. Included by the Makefile.
.PHONY: soak load
soak: $(VENV) ## probe while everything is rolled out, restarted, drained: build/soak.json (SOAK_S=…)
	@tests/soak/run.sh $(BIN)/python

load: $(VENV) ## bad tools, broken channels, full maps on the lab that is up: build/load.json
	@$(LAB) up
	@PYTHONPATH=tests $(BIN)/python -m load
