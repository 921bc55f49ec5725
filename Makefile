# make demo | serve | worker | test | coverage | simulate [SEEDS=n] | chaos [POINTS=…] [SEED=…] [JOBS=n] | browser | lint | bench [ONLY=name] | lock
# Each target makes .venv from the hash-pinned lock it needs, and again only when that lock changed.

# The first that runs and is new enough: a version manager may leave a python3.11 that only says it isn't there.
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3; do "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
endif
BIN := .venv/bin
PORT ?= 8000
ADDRESS ?= 127.0.0.1
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes
UV ?= uv
# Extras stay in the locks: pip 23 resolves `coverage[toml]` apart from `coverage==…` and then asks for the newest release, without a hash.
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-strip-extras --quiet
# Tests share a machine with what they start (workers, children, servers), so two at a time however many cores there are.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: help demo serve worker test coverage simulate chaos browser lint bench lock check-python
.DEFAULT_GOAL := help

help:
	@sed -n '1,2s/^# //p' Makefile

# The environment --------------------------------------------------------------------------------------------------------------------

check-python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Orchestra needs Python 3.11 or newer, found as python3.11 or python3. Here: $$(python3 --version 2>&1)." >&2; \
	    echo "Install one, or name one: make PYTHON=/path/to/python" >&2; exit 1; }

# An interpreter that no longer runs (its Python was removed) is made anew.
$(BIN)/python: | check-python
	@echo "Making .venv with $$("$(PYTHON)" --version) …"
	@"$(PYTHON)" -m venv --clear .venv || \
	  { echo "$(PYTHON) can't make virtual environments: install its venv module (Debian: apt-get install python3-venv)." >&2; rm -rf .venv; exit 1; }

.venv/run.stamp: requirements.lock | $(BIN)/python
	@echo "Installing requirements.lock …"
	@$(PIP_INSTALL) -r requirements.lock
	@touch $@

# The development lock holds the run lock, so one that was installed counts for both.
.venv/dev.stamp: requirements-dev.lock requirements.lock | $(BIN)/python
	@echo "Installing requirements-dev.lock …"
	@$(PIP_INSTALL) -r requirements-dev.lock
	@touch .venv/run.stamp $@

lock:
	@command -v $(UV) >/dev/null || { echo "Locks are made with uv (https://docs.astral.sh/uv/); or say make lock UV=/path/to/uv." >&2; exit 1; }
	$(COMPILE) requirements.in -o requirements.lock
	$(COMPILE) requirements-dev.in -c requirements.lock -o requirements-dev.lock
	@! grep -nE 'https?://' requirements.lock requirements-dev.lock || { echo "A lock names a host." >&2; exit 1; }

# Using it ---------------------------------------------------------------------------------------------------------------------------

demo: .venv/run.stamp
	@$(BIN)/python examples/demo.py

serve: .venv/run.stamp
	@$(BIN)/python -c 'import socket; s = socket.create_server(("$(ADDRESS)", $(PORT))); s.close()' 2>/dev/null || \
	  { echo "Port $(PORT) of $(ADDRESS) can't be served: something else uses it. Choose another: make serve PORT=8001" >&2; exit 1; }
	@$(BIN)/python manage.py migrate --no-input --verbosity 0
	@$(BIN)/python manage.py createfirstadmin
	@said=$$($(BIN)/python manage.py check --tag orchestra --deploy --fail-level CRITICAL 2>&1 >/dev/null); status=$$?; \
	  [ -z "$$said" ] || printf '%s\n' "$$said" | sed -e '/^System check identified/d' -e '/^[A-Z]*S:$$/d' -e '/^$$/d' -e 's/^?: (\([^)]*\)) /\1: /' -e 's/^\tHINT: /  /' >&2; \
	  exit $$status
	@$(BIN)/python -m gunicorn orchestra_site.wsgi:application --config python:orchestra_site.listening --bind $(ADDRESS):$(PORT) --worker-class gthread --workers 2 --threads 8 --log-level warning

worker: .venv/run.stamp
	@$(BIN)/python manage.py migrate --no-input --verbosity 0
	@exec env ORCHESTRA_LOG_LEVEL="$${ORCHESTRA_LOG_LEVEL:-INFO}" $(BIN)/python manage.py worker

# Changing it ------------------------------------------------------------------------------------------------------------------------

# make test ARGS="-k ledger" narrows; ORCHESTRA_TEST_DATABASE=postgresql and ORCHESTRA_TEST_QUEUE=redis start private servers.
test: .venv/dev.stamp
	@$(PYTEST) $(ARGS)

# The suite again, and which lines and branches it reached, also in the processes that it starts.
coverage: .venv/dev.stamp
	@$(PYTEST) --cov --cov-report=term $(ARGS)
	@$(BIN)/python -m coverage json --quiet -o - | $(BIN)/python -c 'import json, sys; t = json.load(sys.stdin)["totals"]; \
	  print("Lines covered: %d of %d (%.1f %%). Branches: %d of %d (%.1f %%)." % ( \
	  t["covered_lines"], t["num_statements"], 100 * t["covered_lines"] / max(t["num_statements"], 1), \
	  t["covered_branches"], t["num_branches"], 100 * t["covered_branches"] / max(t["num_branches"], 1)))'

# Whole engines under seeded faults, many more than `test` plays; the last line is a summary as JSON. FIRST=n begins elsewhere,
# MUTANTS=1 looks for the first seed that notices each way in which the code is broken on purpose.
SEEDS ?= 5000
FIRST ?= 0
simulate: .venv/dev.stamp
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST) $(if $(MUTANTS),--mutants)

# The admin at a real browser: the system's own Chromium, in a process apart, since the browser's loop keeps its main thread.
browser: .venv/dev.stamp
	@ORCHESTRA_TEST_BROWSER=1 $(BIN)/python -m pytest tests/browser --browser chromium $(ARGS)

# The whole crash matrix on both databases: hours, or less with JOBS=3, which plays three cases at once.
# make chaos POINTS='settle.*,storm' SEED=7 KINDS=kill,stop narrows; LIST=1 names all points.
chaos: .venv/dev.stamp
	@$(BIN)/python -m tests.chaos $(if $(POINTS),--points '$(POINTS)') $(if $(KINDS),--kinds $(KINDS)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(LIST),--list)

# All of it, whatever fails first. Benchmarks and each example are folders whose modules may share names: each is typed by itself.
lint: .venv/dev.stamp
	@failed=0; \
	$(BIN)/ruff check . || failed=1; \
	$(BIN)/ruff format --check . || failed=1; \
	$(BIN)/mypy || failed=1; \
	for folder in benchmarks examples/*/; do \
	  ls $$folder/*.py >/dev/null 2>&1 || continue; \
	  MYPYPATH="sdk:$$folder" $(BIN)/mypy $$folder/*.py || failed=1; \
	done; \
	$(BIN)/lint-imports || failed=1; \
	exit $$failed

bench: .venv/dev.stamp
	@$(BIN)/python benchmarks/run.py $(if $(ONLY),--only $(ONLY))
