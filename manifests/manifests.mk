LAB_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/datapath-probe-lab
PROMTOOL := $(or $(shell command -v promtool),$(LAB_CACHE)/promtool)

.PHONY: rules-test
rules-test: $(VENV) $(PROMTOOL) ## test the alerting rules, and check the format of the metrics
	@mkdir -p build
	@$(BIN)/python -c 'import sys, yaml; yaml.safe_dump(yaml.safe_load(sys.stdin)["spec"], sys.stdout)' \
		< manifests/monitoring/alerts.yaml > build/alerts.yaml
	$(PROMTOOL) check rules build/alerts.yaml
	$(PROMTOOL) test rules manifests/monitoring/alerts-test.yaml
	PYTHONPATH=operator:tests $(BIN)/python -m unit.publish.metrics.scrapes | $(PROMTOOL) check metrics

# Debian's package brings promtool, and would start a Prometheus if it was installed.
$(LAB_CACHE)/promtool:
	@echo "· fetching promtool …"
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	command -v apt-get > /dev/null || { echo "install promtool, it comes with Prometheus"; exit 1; }; \
	apt-get -qq download prometheus 2> /dev/null || { apt-get -qq update && apt-get -qq download prometheus; }; \
	dpkg -x prometheus_*.deb . && install -D usr/bin/promtool $@
