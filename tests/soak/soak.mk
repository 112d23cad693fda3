# The soak and the load test, see docs/soak.md. Included by the Makefile.
.PHONY: soak load
soak: $(VENV) ## probe during roll-outs, restarts and drains: build/soak.json (SOAK_S=…)
	@tests/soak/run.sh $(BIN)/python

load: $(VENV) ## faulty tools, broken channels, full maps on the running lab: build/load.json
	@$(LAB) up
	@PYTHONPATH=tests $(BIN)/python -m load
