# What people type. `make` alone explains itself.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
HERE := $(VENV)/.place
COMPANY ?= company
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	if $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; \
	then command -v $$name; break; fi; done)

# Nothing here calls home. The code says so too; this is for the tools.
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export SCARF_ANALYTICS := false
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help run up down test browser mail-clients test-fast test-crash bench policy-quality check format catalogs lock clean FORCE

help: ## what there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "make %-14s %s\n", $$1, $$2 }'

run: $(VENV)/.run ## install what is missing, then run the platform on COMPANY=company (AS_OF=2026-06-30 for one day)
	@$(BIN)/early-warning run --company "$(COMPANY)" $(if $(AS_OF),--as-of "$(AS_OF)")

up: $(VENV)/.run ## start Airflow's page and scheduler on COMPANY=company at 127.0.0.1:8080 (EARLY_WARNING_UI_PORT=…)
	@$(BIN)/early-warning up --company "$(COMPANY)"

down: $(VENV)/.run ## stop what `make up` started
	@$(BIN)/early-warning down

test: $(VENV)/.dev browser ## all tests
	$(BIN)/python -m pytest

# One test looks at mails as a phone shows them. Without the right to install it is skipped, and says so.
browser: ## Chromium and Chinese letters, for the test that looks at mails (Debian, as root; a no-op where they are)
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; } || \
	echo "no Chromium; on Debian: sudo apt-get install -y chromium fonts-noto-cjk"

# ESM looks for a package above the script that wants it, so script and mails go to where it is installed.
CANIEMAIL = $(VENV)/caniemail
mail-clients: $(VENV)/.dev ## what mail programs don't show of a digest, against docs/mail-clients.txt (needs npm; WRITE=--write records it)
	@mkdir -p $(CANIEMAIL) && npm install --silent --no-save --no-package-lock --prefix $(CANIEMAIL) caniemail@2.0.2
	@cp tests/mail_clients.mjs $(CANIEMAIL)/ && cd tests && ../$(BIN)/python test_mail_in_browser.py ../$(CANIEMAIL)
	@node $(CANIEMAIL)/mail_clients.mjs $(WRITE) docs/mail-clients.txt $(CANIEMAIL)/*.html

test-fast: $(VENV)/.dev ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow and not exhaustive"

BENCH_SIZE ?= full
bench: $(VENV)/.bench ## measure what the platform costs, into docs/benchmarks.md (BENCH_SIZE=small for a tenth of the rows)
	$(BIN)/python -m benchmarks --size "$(BENCH_SIZE)"

test-crash: $(VENV)/.dev ## kill runs at every named point and at 100 random times (an hour)
	$(BIN)/python -m pytest tests/test_crashes.py -m slow

comma := ,
empty :=
space := $(empty) $(empty)
INDICATORS = $(subst $(space),$(comma),$(patsubst ind_%,%,$(basename $(notdir $(sort $(wildcard dbt_project/models/indicators/*/ind_*.sql))))))
IN_DBT = EARLY_WARNING_INDICATORS=$(INDICATORS) $(BIN)/python -m early_warning.embedded
policy-quality: $(VENV)/.dev ## measure the default policy on the past of three companies, into docs/policy-quality.md
	$(BIN)/python -m benchmarks.policy_quality

check: $(VENV)/.dev ## style, types, direction of imports, shape of the dbt project, SQL
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(IN_DBT) $(BIN)/dbt --quiet parse --project-dir dbt_project --profiles-dir dbt_project --target-path target/bouncer
	$(BIN)/dbt-bouncer run --config-file dbt-bouncer.yml
	$(IN_DBT) $(BIN)/sqlfluff lint dbt_project

format: $(VENV)/.dev ## mend style where a tool can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

DIGEST = plugins/early_warning/digest
catalogs: $(VENV)/.dev ## bring the catalogs of the mails' languages up to date after a message was changed in English
	$(BIN)/pybabel --quiet extract --mapping-file pyproject.toml --no-wrap --no-location --sort-output \
		--output-file $(VENV)/digest.pot $(DIGEST)
	$(BIN)/pybabel --quiet update --domain digest --input-file $(VENV)/digest.pot --output-dir $(DIGEST)/locale \
		--no-wrap --ignore-obsolete --ignore-pot-creation-date

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
lock: $(VENV)/.run ## resolve pyproject.toml into the two locks anew (UPGRADE=--upgrade for newer versions)
	$(COMPILE) --group build pyproject.toml --output-file requirements.lock
	$(COMPILE) --group dev --constraints requirements.lock --output-file requirements-dev.lock
	$(COMPILE) --group bench --constraints requirements.lock --output-file requirements-bench.lock

clean: ## delete the environment and the tools' caches, never the data in .early_warning/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dbt_project/target dbt_project/logs
	find benchmarks dags plugins tests -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf plugins/*.egg-info

# The environment: made once, brought up to date when a lock changes, made anew where the folder was moved.
ifneq ($(shell cat $(HERE) 2>/dev/null),$(CURDIR))
$(VENV)/.run: FORCE
endif

$(VENV)/.run: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found: install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing into $(VENV)/ (once, a minute or two)" >&2
	@test "$$(cat $(HERE) 2>/dev/null)" = "$(CURDIR)" && $(BIN)/uv --version >/dev/null 2>&1 || { \
		rm -rf $(VENV); \
		sed -n '/^uv==/,/# via/p' requirements.lock > .uv.lock.txt; \
		if "$(PYTHON)" -c 'import ensurepip' 2>/dev/null; then \
			"$(PYTHON)" -m venv $(VENV) && $(BIN)/python -m pip install --quiet --require-hashes -r .uv.lock.txt; \
		elif "$(PYTHON)" -m pip --version >/dev/null 2>&1; then \
			"$(PYTHON)" -m venv --without-pip $(VENV) && "$(PYTHON)" -m pip --python $(BIN)/python install --quiet --require-hashes -r .uv.lock.txt; \
		else echo "$(PYTHON) has neither venv nor pip: install them (Debian: apt install python3-venv)" >&2; false; \
		fi; \
	}; status=$$?; rm -f .uv.lock.txt; exit $$status
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@printf '%s' "$(CURDIR)" > $(HERE)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.bench: requirements-bench.lock $(VENV)/.dev
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@touch $@
