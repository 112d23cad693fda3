# The fault bench, see docs/fault-bench.md. Included by the Makefile.
.PHONY: faults faults-record
faults: $(VENV) ## inject faults into the lab, compare the answers: build/faults.json (FAULTS_MODES=… FAULTS_ONLY=…)
	@tests/faults/run.sh $(BIN)/python

faults-record: $(VENV) ## save the last run of the fault bench as test data
	@PYTHONPATH=tests $(BIN)/python -m faults.recordings
