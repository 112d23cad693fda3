# The protocols of the node agents: of the operator with them, and of Hubble with its clients.
PROTOCOLS := datapath_probe/nodes/wire/node_agent.proto datapath_probe/nodes/agent/hubble.proto
PROTOC = $(BIN)/python -m grpc_tools.protoc --proto_path=operator

.PHONY: protocols protocols-check
protocols: $(VENV) ## generate the modules of the protocols of node agents
	@$(PROTOC) --python_out=operator --pyi_out=operator $(PROTOCOLS:%=operator/%)

protocols-check: $(VENV) ## fail if these modules do not match the protocols
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PROTOC) --python_out="$$folder" --pyi_out="$$folder" $(PROTOCOLS:%=operator/%); \
	for file in $$(cd "$$folder" && find . -name '*_pb2.py*'); do \
		diff -u "operator/$$file" "$$folder/$$file" || { echo "out of date: run make protocols"; exit 1; }; \
	done
