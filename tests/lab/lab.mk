# The lab: a real Cilium cluster on this machine, see docs/lab.md. Included by the Makefile.
# Options, by environment or `make lab-up LAB_MODE=native`: LAB_MODE, LAB_ATTACH, LAB_CILIUM, LAB_NODES.
export LAB_MODE LAB_ATTACH LAB_CILIUM LAB_NODES
LAB := PYTHONPATH=tests $(BIN)/python -m lab

.PHONY: lab-up lab-down lab-status lab-kubeconfig lab-node lab-build lab-load
lab-up: $(VENV) ## bring the lab up, or switch it to other settings
	@$(LAB) up $(if $(FRESH),--fresh)

lab-down: $(VENV) ## remove the lab and all that is left of it
	@$(LAB) down

lab-status: $(VENV) ## say whether the lab is up and healthy
	@$(LAB) status

lab-kubeconfig: $(VENV) ## print the path of the admin kubeconfig
	@$(LAB) kubeconfig

lab-node: $(VENV) ## run CMD='…' in the namespaces of NODE
	@$(LAB) node "$(NODE)" '$(CMD)'

lab-build: $(VENV) ## build the lab's programs and images, start nothing
	@$(LAB) build

lab-load: $(VENV) ## import the image archive IMAGE=file.tar on all nodes
	@$(LAB) load "$(IMAGE)"
