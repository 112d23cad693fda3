# What CI calls is what you call. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-zA-Z0-9_-]*:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

include tests/lab/lab.mk operator/protocols.mk crds/crds.mk charts/charts.mk docs/architecture.mk docs/errors.mk docs/verdict.mk manifests/manifests.mk tests/faults/faults.mk tests/soak/soak.mk tests/hold/hold.mk

# --- environment ---------------------------------------------------------------------------------

$(VENV): $(VENV)/.stamp
$(VENV)/.stamp: requirements-dev.txt pyproject.toml
	@python3 -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -qy python3-venv; }
	python3 -m venv $(VENV)
# --no-deps: the lock is whole, and pip would ask for the newest of what is wanted with an extra (coverage[toml])
	$(BIN)/pip install -q --no-deps --require-hashes -r requirements-dev.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: lock
lock: ## pin the dependencies by hash, without index addresses
	uv pip compile -q --universal --generate-hashes --no-emit-index-url pyproject.toml -o requirements.txt
	uv pip compile -q --universal --generate-hashes --no-emit-index-url pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | uv pip compile -q --universal --generate-hashes --no-emit-index-url -c requirements-dev.txt - -o requirements-build.txt

# --- tests: `make test` is all of these stages, in two chains beside each other, whether one fails or not ---------------

CHECKS := lint types layers protocols-check crds-check docs-errors-check docs-verdict-check docs-architecture-check chart-check dashboards-check unit rules-test integration
ON_THE_LAB := programs e2e
NIGHTLY := linear mutated programs test-lab e2e-exec e2e-modes e2e-ipv6 e2e-monitoring

.PHONY: test test-nightly
test: $(VENV) ## everything; the last line counts all tests
	@MAKE="$(MAKE)" $(BIN)/python tests/stages.py "$(CHECKS)" "$(ON_THE_LAB)"

test-nightly: $(VENV) ## what takes long: labs are killed and switched, every mode of the datapath; ≈ 25 min. A rerun is a failure
	@MAKE="$(MAKE)" $(BIN)/python tests/stages.py --reruns-fail "$(NIGHTLY)"

.PHONY: fmt lint words types layers
fmt: $(VENV) ## format the code, and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lint: $(VENV) words ## style, common mistakes and denied words
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

words: $(VENV) ## words that code and docs must not use, with the terms to use instead
	$(BIN)/python tests/words.py operator tests docs manifests charts crds README.md SECURITY.md CONTRIBUTING.md Makefile

types: $(VENV) ## static types
	$(BIN)/mypy

layers: $(VENV) ## who may import whom
	$(BIN)/lint-imports

.PHONY: programs unit integration e2e
programs: $(VENV) ## build what tests run: Kubernetes, Cilium, images; once per machine
	@if $(LAB) possible; then $(LAB) build; fi

unit: $(VENV) ## tests without a cluster
	$(BIN)/pytest tests/unit

.PHONY: mutated
mutated: $(VENV) ## thousands of mutated runs and bundles, in `make test-nightly`; `make unit` tries some of them
	$(BIN)/pytest tests/unit/mutated tests/unit/api/test_limits.py --hypothesis-profile=nightly --timeout=1800

integration: $(VENV) ## tests against a real API server, real shells, real curl
	$(BIN)/pytest tests/integration

e2e: $(VENV) ## tests of everything together, on a new lab of their own (LAB_KEEP=1: on the one that is up)
	@tests/e2e/run.sh $(BIN)

.PHONY: e2e-exec
e2e-exec: $(VENV) ## the same by commands in containers instead of node agents, in `make test-nightly`
	@E2E_COLLECTOR=exec tests/e2e/run.sh $(BIN)

.PHONY: linear
linear: $(VENV) ## 4 MiB of its worst case for every parser; ≈ 1 min, in `make test-nightly`
	NIGHTLY=1 $(BIN)/pytest tests/unit/sources/test_linear.py

.PHONY: e2e-modes
e2e-modes: $(VENV) ## every mode and version of the datapath, ordinary policies and settings, an upgrade while probes run; ≈ 40 min, in `make test-nightly`
	@E2E_MODES=1 tests/e2e/run.sh $(BIN) "tests/e2e/test_modes.py tests/e2e/test_ordinary.py tests/e2e/test_egress_gateway.py"

.PHONY: e2e-ipv6
e2e-ipv6: $(VENV) ## a dual-stack lab in every mode, in `make test-nightly`
	@E2E_IPV6=1 LAB_IP=dual tests/e2e/run.sh $(BIN) "tests/e2e/test_ipv6.py tests/e2e/test_ipv6_modes.py"

.PHONY: e2e-monitoring
e2e-monitoring: $(VENV) ## Prometheus and Alertmanager on the lab: what pages, and what does not; ≈ 8 min, in `make test-nightly`
	@E2E_MONITORING=1 tests/e2e/run.sh $(BIN) tests/e2e/test_monitoring.py

# --- to deploy it --------------------------------------------------------------------------------

LABELS = --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' operator/datapath_probe/__init__.py)" \
	--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)"

.PHONY: image image-node
image: ## build the operator's image for a registry: IMAGE=registry/name:tag
	@test -n "$(IMAGE)" || { echo "say which: make $@ IMAGE=registry/datapath-probe:tag" >&2; exit 2; }
	@if docker info >/dev/null 2>&1; then docker build $(LABELS) $(TARGET) --tag "$(IMAGE)" .; \
	elif command -v buildah >/dev/null; then buildah bud --layers $(LABELS) $(TARGET) --tag "$(IMAGE)" .; \
	else echo "make $@ needs docker or buildah" >&2; exit 1; fi

image-node: TARGET = --target node
image-node: image ## build the node agent's image likewise

.PHONY: sbom
sbom: $(VENV) ## list what the image installs, with hashes, as CycloneDX: build/sbom.cdx.json
	@mkdir -p build
	$(BIN)/python -W ignore -m cyclonedx_py requirements --output-reproducible --pyproject pyproject.toml \
		--output-file build/sbom.cdx.json requirements.txt

.PHONY: release-notes release-image
release-notes: $(VENV) ## print the notes of a release: TAG=v1.2.3
	@PYTHONPATH=tests $(BIN)/python -m release notes "$(TAG)"

release-image: $(VENV) ## let chart and manifests name the released image: IMAGE=registry/name DIGEST=sha256:…
	PYTHONPATH=tests $(BIN)/python -m release image "$(IMAGE)" "$(DIGEST)"

# For machines with Docker, kind and the cilium CLI. Not exercised by this project's CI, which has no Docker.
KIND_CLUSTER := datapath-probe
CILIUM_VERSION := 1.18.5

.PHONY: kind-up
kind-up: ## Cilium with its defaults on kind (needs docker, kind, cilium)
	kind create cluster --name $(KIND_CLUSTER) --config manifests/kind/kind.yaml
	cilium install --version $(CILIUM_VERSION) --wait
	docker build --tag lab/app:1 --build-arg BASE=docker.io/library/python:3.13.14-slim-trixie tests/lab/images/app
	kind load docker-image --name $(KIND_CLUSTER) lab/app:1

.PHONY: kind-down
kind-down: ## remove the kind cluster
	kind delete cluster --name $(KIND_CLUSTER)

# --- to see it -----------------------------------------------------------------------------------

.PHONY: demo bench bench-load bench-memory
demo: $(VENV) ## the operator at work on the lab (DEMO=kind: on kind)
	@PYTHONPATH=tests $(BIN)/python -m demo $(DEMO)

bench: $(VENV) ## by hand against by probe, on the lab: build/bench.json
	@$(LAB) up
	@PYTHONPATH=tests $(BIN)/python -m bench

bench-load: $(VENV) ## many probes on the lab: verdicts, lag, CPU and memory: build/load-bench.json (LOAD_PROBES=… LOAD_INTERVAL_S=…)
	@$(LAB) up
	@PYTHONPATH=tests $(BIN)/python -m bench.load

bench-memory: $(VENV) ## growth of the operator's process per probe, without a lab (≈ 8 min): build/bench-memory.json
	@PYTHONPATH=tests $(BIN)/python -m bench.process_memory
