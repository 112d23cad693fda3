CRD := crds/datapathprobes.yaml
API_PAGE := docs/api.md

.PHONY: crds crds-check
crds: $(VENV) ## generate the CRD and its reference from the models
	$(BIN)/python -m datapath_probe.api.crd.schema > $(CRD)
	$(BIN)/python -m datapath_probe.api.crd.reference > $(API_PAGE)

crds-check: $(VENV) ## fail if the CRD or its reference does not match the models
	@$(BIN)/python -m datapath_probe.api.crd.schema | diff -u $(CRD) - && \
	$(BIN)/python -m datapath_probe.api.crd.reference | diff -u $(API_PAGE) - || { echo "out of date: run make crds"; exit 1; }
