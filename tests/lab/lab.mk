# The lab: a real Cilium cluster on this machine, see docs/lab.md. Included by the Makefile.
# Options, by environment or `make lab-up LAB_MODE=native`: LAB_MODE, LAB_ATTACH, LAB_CILIUM, LAB_NODES.
LAB := PYTHONPATH=tests $(BIN)/python -m lab

.PHONY: lab-up
lab-up: $(VENV) ## bring the lab up, or switch it to other settings (LAB_MODE=… FRESH=1)
	@$(LAB) up $(if $(FRESH),--fresh)

.PHONY: lab-down
lab-down: $(VENV) ## remove the lab and all its traces
	@$(LAB) down

.PHONY: lab-status
lab-status: $(VENV) ## report whether the lab is up and healthy
	@$(LAB) status

.PHONY: lab-kubeconfig
lab-kubeconfig: $(VENV) ## print the path of the admin kubeconfig
	@$(LAB) kubeconfig

.PHONY: lab-env
lab-env: $(VENV) ## print shell commands that select the lab's cluster and kubectl
	@$(LAB) env

.PHONY: lab-node
lab-node: $(VENV) ## run CMD='…' in the namespaces of NODE
	@$(LAB) node "$$NODE" "$$CMD"

.PHONY: lab-build
lab-build: $(VENV) ## build the lab's programs and images only
	@$(LAB) build

.PHONY: lab-load
lab-load: $(VENV) ## import the image archive IMAGE=file.tar on all nodes
	@$(LAB) load "$(IMAGE)"

.PHONY: lab-image
lab-image: $(VENV) ## build the operator's image and load it on all nodes (IMAGE=name)
	@$(LAB) image $(if $(IMAGE),--name "$(IMAGE)")

.PHONY: test-lab
test-lab: $(VENV) ## test the lab itself: killed, switched, removed; ≈ 6 min, in `make test-nightly`
	$(BIN)/pytest -v -p no:randomly tests/lab/tests
