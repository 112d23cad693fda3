LAB_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/datapath-probe-lab
PROMTOOL := $(or $(shell command -v promtool),$(LAB_CACHE)/promtool)
AMTOOL := $(or $(shell command -v amtool),$(LAB_CACHE)/amtool)
MONITORING := manifests/monitoring

.PHONY: rules-test
rules-test: $(VENV) $(PROMTOOL) $(AMTOOL) ## test alerting rules and routes, and check the format of the metrics
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

# Debian's packages bring these programs, and would start services if they were installed.
$(LAB_CACHE)/promtool $(LAB_CACHE)/prometheus: PACKAGE := prometheus
$(LAB_CACHE)/amtool $(LAB_CACHE)/prometheus-alertmanager: PACKAGE := prometheus-alertmanager
$(addprefix $(LAB_CACHE)/,promtool prometheus amtool prometheus-alertmanager):
	@echo "· fetching $(@F) …"
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	command -v apt-get > /dev/null || { echo "install $(@F), of Prometheus or Alertmanager"; exit 1; }; \
	apt-get -qq download $(PACKAGE) 2> /dev/null || { apt-get -qq update && apt-get -qq download $(PACKAGE); }; \
	dpkg -x $(PACKAGE)_*.deb . && install -D usr/bin/$(@F) $@

.PHONY: monitoring-programs
monitoring-programs: $(LAB_CACHE)/prometheus $(LAB_CACHE)/prometheus-alertmanager $(PROMTOOL) ## fetch what the e2e tests of monitoring run
