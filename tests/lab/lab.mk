# The lab: a real Cilium cluster on this machine, see docs/lab.md. Included by the Makefile.
# Options, by environment or `make lab-up LAB_MODE=native`: LAB_MODE, LAB_ATTACH, LAB_CILIUM, LAB_NODES.
LAB := PYTHONPATH=tests $(BIN)/python -m lab

.PHONY: lab-up
lab-up: $(VENV) ## bring the lab up, or switch it to other settings (LAB_MODE=… FRESH=1)
	@$(LAB) up $(if $(FRESH),--fresh)

.PHONY: lab-down
lab-down: $(VENV) ## remove the lab and all that is left of it
	@$(LAB) down

.PHONY: lab-status
lab-status: $(VENV) ## say whether the lab is up and healthy
	@$(LAB) status

.PHONY: lab-kubeconfig
lab-kubeconfig: $(VENV) ## print the path of the admin kubeconfig
	@$(LAB) kubeconfig

.PHONY: lab-env
lab-env: $(VENV) ## print what to eval for a shell with the lab's kubectl
	@$(LAB) env

.PHONY: lab-node
lab-node: $(VENV) ## run CMD='…' in the namespaces of NODE
	@$(LAB) node "$$NODE" "$$CMD"

.PHONY: lab-build
lab-build: $(VENV) ## build the lab's programs and images, start nothing
	@$(LAB) build

.PHONY: lab-load
lab-load: $(VENV) ## import the image archive IMAGE=file.tar on all nodes
	@$(LAB) load "$(IMAGE)"

.PHONY: lab-image
lab-image: $(VENV) ## build the operator's image and load it on all nodes (IMAGE=name)
	@$(LAB) image $(if $(IMAGE),--name "$(IMAGE)")

.PHONY: test-lab
test-lab: $(VENV) ## test the lab itself: it is taken down, killed, switched
	$(BIN)/pytest tests/lab/tests

.PHONY: image
image: ## build the operator's image for a registry: IMAGE=registry/name:tag
	@test -n "$(IMAGE)" || { echo "say which: make image IMAGE=registry/datapath-probe:tag" >&2; exit 2; }
	@if docker info >/dev/null 2>&1; then docker build --tag "$(IMAGE)" .; \
	elif command -v buildah >/dev/null; then buildah bud --layers --tag "$(IMAGE)" .; \
	else echo "make image needs docker or buildah" >&2; exit 1; fi

# For machines with Docker, kind and the cilium CLI. Not exercised by this project's CI, which has no Docker.
KIND_CLUSTER := datapath-probe
CILIUM_VERSION := 1.18.5

.PHONY: kind-up
kind-up: ## the same Cilium settings on kind (needs docker, kind, cilium)
	kind create cluster --name $(KIND_CLUSTER) --config manifests/kind/kind.yaml
	cilium install --version $(CILIUM_VERSION) --values manifests/kind/cilium-values.yaml --wait
	docker build --tag lab/app:1 --build-arg BASE=docker.io/library/python:3.13.9-slim-trixie tests/lab/images/app
	kind load docker-image --name $(KIND_CLUSTER) lab/app:1

.PHONY: kind-down
kind-down: ## remove the kind cluster
	kind delete cluster --name $(KIND_CLUSTER)
