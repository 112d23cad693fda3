LAB_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/datapath-probe-lab
DEBIAN_MONITORING := $(LAB_CACHE)/monitoring
PROMTOOL := $(DEBIAN_MONITORING)/usr/bin/promtool
AMTOOL := $(DEBIAN_MONITORING)/usr/bin/amtool
MONITORING := manifests/monitoring

.PHONY: rules-test
rules-test: $(VENV) | $(DEBIAN_MONITORING) ## test alerting rules and routes, and check the format of the metrics
	@mkdir -p build
	@$(BIN)/python -c 'import sys, yaml; yaml.safe_dump(yaml.safe_load(sys.stdin)["spec"], sys.stdout)' \
		< $(MONITORING)/alerts.yaml > build/alerts.yaml
	$(PROMTOOL) check rules build/alerts.yaml
	$(PROMTOOL) test rules $(MONITORING)/alerts-test.yaml
	PYTHONPATH=operator:tests $(BIN)/python -m unit.publish.metrics.scrapes | $(PROMTOOL) check metrics
	$(AMTOOL) check-config $(MONITORING)/alertmanager.yaml
	@while read -r receiver labels; do \
		$(AMTOOL) config routes test --config.file=$(MONITORING)/alertmanager.yaml --verify.receivers=$$receiver $$labels \
			> build/route 2>&1 || { echo "$$labels:"; cat build/route; exit 1; }; \
	done < $(MONITORING)/routes-test.txt

.PHONY: monitoring-programs
monitoring-programs: | $(DEBIAN_MONITORING) ## fetch Prometheus and Alertmanager for tests

# Debian's packages would start services if they were installed.
$(DEBIAN_MONITORING):
	@echo "· fetching Prometheus and Alertmanager …"
	@mkdir -p $(@D); set -e; folder=$$(mktemp -d -p $(@D)); trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	command -v apt-get > /dev/null || { echo "install Prometheus and Alertmanager"; exit 1; }; \
	packages="prometheus prometheus-alertmanager"; \
	apt-get -qq download $$packages 2> /dev/null || { apt-get -qq update && apt-get -qq download $$packages; }; \
	for package in *.deb; do dpkg -x "$$package" root; done; mv -T root $@
