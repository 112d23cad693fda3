# The fault bench, see docs/fault-bench.md. Included by the Makefile.
.PHONY: faults faults-record
faults: $(VENV) ## break the lab in many ways, compare what is named: build/faults.json (FAULTS_MODES=… FAULTS_ONLY=…)
	@tests/faults/run.sh $(BIN)/python

faults-record: $(VENV) ## keep the last run of the fault bench as test data
	@PYTHONPATH=tests $(BIN)/python -m faults.recordings
