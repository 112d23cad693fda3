CRD := crds/datapathprobes.yaml

.PHONY: crds crds-check
crds: $(VENV) ## write the CRD anew from the models
	$(BIN)/python -m datapath_probe.api.schema > $(CRD)

crds-check: $(VENV) ## fail if the CRD is not what the models say
	$(BIN)/python -m datapath_probe.api.schema | diff -u $(CRD) - || { echo "$(CRD) is out of date: run make crds"; exit 1; }
