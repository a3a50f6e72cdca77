# The two commands of the README, and what is behind them.  `make help` lists all targets.

SHELL = /bin/bash
DB ?= sqlite
PYTHON ?= python3
# The demo cloud needs root, and Debian's Python: the one that its packages are for.  sudo drops the
# environment, so what counts is handed on.
AS_ROOT = $(if $(filter-out 0,$(shell id -u)),sudo)
DEVCLOUD = $(AS_ROOT) env KILONOVA_DEMO_DIR=$(KILONOVA_DEMO_DIR) /usr/bin/python3 tools/devcloud

.PHONY: help demo demo-down demo-clean test test-env lint unit functional integration e2e tempest docs bench generate

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo:  ## a cloud on this machine: install, start, boot a guest with the openstack client (DB=sqlite|mariadb|postgresql)
	@test -x /usr/bin/python3 || { echo 'installing python3'; $(AS_ROOT) apt-get -qq update && \
		$(AS_ROOT) apt-get -qq -y install --no-install-recommends python3 >/dev/null; }
	$(DEVCLOUD) up --db $(DB) $(if $(PORT_BASE),--port-base $(PORT_BASE))

demo-down:  ## stop the demo cloud; nothing of it keeps running
	$(DEVCLOUD) down

demo-clean:  ## stop it and remove its files
	$(DEVCLOUD) down --purge

test: test-env  ## lint, unit, functional and integration suites; installs what they need
	.venv/bin/tox run -e suite

test-env:
	tools/install-test-packages
	test -x .venv/bin/tox || { $(PYTHON) -m venv .venv && .venv/bin/pip install -q -c constraints.txt tox; }

lint unit functional integration e2e: test-env  ## one suite alone
	.venv/bin/tox run -e suite -- $@

tempest: test-env  ## Tempest's compute tests, against a cloud of fake hosts
	.venv/bin/tox run -e tempest

docs: lint  ## the documentation, below .tox/html

generate: test-env  ## write the generated samples and tables again
	.venv/bin/tox run -e suite --notest && .tox/suite/bin/python tools/generate.py

bench: test-env  ## speed and memory, against the figures in doc/source/contributor/performance.rst
	.venv/bin/tox run -e bench
