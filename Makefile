# Everything needs Python 3.11 or newer, make and git; all else is installed into .venv.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= var

BIN := .venv/bin
# Tests mostly wait, for servers and for pages: two go side by side, each with servers of its own.
IN_TWO := -n 2 --dist loadfile
# An absolute path stays what it is; a relative one is relative to this folder.
export HOLDFAST_DATA := $(abspath $(DATA))
# Node comes from PyPI too, so that its tools find it.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# Without line numbers and dates, so that a change of the catalogues shows what changed.
MESSAGES := --add-location file --no-wrap --no-obsolete \
  $(foreach folder,.venv node_modules var tests e2e benchmarks static/vendor,--ignore $(folder))

CATALOGUES = $(wildcard uploads/locale/*/LC_MESSAGES/*.po examples/*/locale/*/LC_MESSAGES/*.po)

.DEFAULT_GOAL := help
.PHONY: help run test test-long quick lint audit types js python browser browser-tools chaos fuzz bench screenshots \
  messages format clean

help: ## List what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: .venv/run.stamp ## Serve http://127.0.0.1:8000 (PORT=, HOST=, DATA=; HOLDFAST_PASSWORD sets the first password)
	@exec $(BIN)/python manage.py serve --prepare --host $(HOST) --port $(PORT)

test: lint types js browser-tools ## Everything that CI runs: checks, Python, JavaScript and browser tests
	$(BIN)/pytest tests $(IN_TWO) -m "not long"
	$(BIN)/pytest e2e $(IN_TWO) -m "not long"

test-long: browser-tools ## The tests that take minutes: very many files, very large ones
	$(BIN)/pytest -m long -s

quick: .venv/test.stamp ## The tests that need no browser and no server, in seconds
	$(BIN)/pytest tests $(IN_TWO) -m "not server and not browser and not thorough and not long" -q

lint: .venv/test.stamp ## ruff, bandit, import-linter, migrations up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml uploads site examples manage.py
	$(BIN)/lint-imports --no-logo
	HOLDFAST_DATA=$(CURDIR)/.venv/lint-data $(BIN)/python manage.py makemigrations --check --dry-run

audit: .venv/test.stamp ## Known holes of what is installed (asks services: code 1 some, 3 could not be asked)
	@$(BIN)/python -m tests.support.audit

types: .venv/test.stamp node_modules/.stamp ## mypy, and tsc over the JavaScript
	$(BIN)/mypy
	node_modules/.bin/tsc --project tsconfig.json

js: .venv/test.stamp ## The JavaScript tests
	$(BIN)/node --test "tests/js/*.test.js"

python: .venv/test.stamp node_modules/.stamp ## The Python tests, without the browser
	$(BIN)/pytest tests $(IN_TWO) -m "not long"

browser: browser-tools ## The browser tests
	$(BIN)/pytest e2e $(IN_TWO) -m "not long"

browser-tools: .venv/browser.stamp node_modules/.stamp

chaos: .venv/test.stamp ## Ten minutes of faults against a real server (SEED=, SECONDS=)
	$(BIN)/python -m benchmarks.chaos $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

fuzz: .venv/test.stamp ## A hundred thousand hostile requests to a real server (SEED=, REQUESTS=)
	$(BIN)/python -m benchmarks.fuzz $(if $(SEED),--seed $(SEED)) $(if $(REQUESTS),--requests $(REQUESTS))

bench: .venv/browser.stamp ## Beside the bare limit and other servers, a quarter of an hour (ROUNDS=, ROWS=tus,chunk)
	@$(BIN)/python -m benchmarks.comparison $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ROWS),--rows $(ROWS))

screenshots: browser-tools ## Take pictures of every state (FOLDER=), and those of the README
	$(BIN)/python -m e2e.screenshots $(or $(FOLDER),var/screenshots)

messages: export HOLDFAST_DATA := $(CURDIR)/.venv/lint-data
messages: .venv/test.stamp ## Collect the texts for translation and compile them (needs GNU gettext)
	$(BIN)/python manage.py makemessages --all $(MESSAGES)
	$(BIN)/python manage.py makemessages --all $(MESSAGES) --domain djangojs
	@sed -i.old '/^"POT-Creation-Date/d' $(CATALOGUES)
	@rm $(addsuffix .old,$(CATALOGUES))
	$(BIN)/python manage.py compilemessages --ignore .venv --ignore node_modules

format: .venv/test.stamp ## Format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what make has installed (never your data)
	rm -rf .venv node_modules

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Holdfast needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "Python's venv module is incomplete here; on Debian: apt-get install python3-venv"; exit 1; }

.venv/run.stamp: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/test.stamp: requirements-dev.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/run.stamp

node_modules/.stamp: package.json package-lock.json .venv/test.stamp
	$(BIN)/npm ci --no-audit --no-fund --silent
	@touch $@

.venv/browser.stamp: .venv/test.stamp
	$(BIN)/python -m e2e.browser_install
	@touch $@
