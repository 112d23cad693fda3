.PHONY: chart chart-check
chart: $(VENV) ## copy the CRD and the alerts into the Helm chart, and generate its values.yaml and the table of its README
	PYTHONPATH=tests $(BIN)/python -m chart

chart-check: $(VENV) ## fail if the Helm chart does not match the CRD, the alerts, or the schema of its values
	@PYTHONPATH=tests $(BIN)/python -m chart --check

.PHONY: dashboards dashboards-check
dashboards: $(VENV) ## generate the Grafana dashboards of the Helm chart
	PYTHONPATH=tests $(BIN)/python -m dashboards

dashboards-check: $(VENV) ## fail if the Grafana dashboards do not match their code
	@PYTHONPATH=tests $(BIN)/python -m dashboards --check
