CRD := crds/datapathprobes.yaml
API_PAGE := docs/api.md

.PHONY: crds crds-check
crds: $(VENV) ## write the CRD and its reference anew from the models
	$(BIN)/python -m datapath_probe.api.schema > $(CRD)
	$(BIN)/python -m datapath_probe.api.reference > $(API_PAGE)

crds-check: $(VENV) ## fail if CRD or reference are not what the models say
	@$(BIN)/python -m datapath_probe.api.schema | diff -u $(CRD) - && \
	$(BIN)/python -m datapath_probe.api.reference | diff -u $(API_PAGE) - || { echo "out of date: run make crds"; exit 1; }
