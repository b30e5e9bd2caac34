# `make demo` and `make test` set up what they need themselves; `make help` lists the rest.

PYTHON ?= python3
ARGS ?=
# Of the tests: those of the whole stack mostly wait, so that three keep two cores at work.
PROCESSES ?= 3
BIN := $(or $(FEDSTUDY_VENV),.venv)/bin
# One thread a process: four nodes share a small machine.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint ruff mypy contracts templates format faults guide fuzz-api bench bench-gate bench-log bench-pages reproduce messages lock clean

help:
	@echo 'make demo    a whole federated study on this machine, then a portal to look at (ARGS="--exit --json out.json --dossier DIR")'
	@echo 'make test    the tests (ARGS="-k words" and so on)'
	@echo 'make lint    the static checks: ruff, mypy, import contracts, templates'
	@echo 'make format  put code into its form'
	@echo 'make guide   go through the stories of docs/guide in a browser and take their pictures anew'
	@echo 'make faults  make each fault and check what must hold after it (ARGS="--short", "--only R5,R7", "--json FILE")'
	@echo 'make fuzz-api  send the API many made-up requests, as every role (minutes; EXAMPLES=300 of each operation)'
	@echo 'make bench   measure workloads against raw Flower and plain copying (an hour; ARGS="--only w1" chooses)'
	@echo 'make bench-gate  measure what gate and sandbox cost a round (minutes)'
	@echo 'make bench-log  measure how fast events are written and get their places in the log (a minute)'
	@echo 'make bench-pages  measure how long pages take with a million log entries and 20 people (some 15 minutes)'
	@echo "make reproduce  the published tables of Fed-Heart-Disease as real runs, and docs/results/ of them (some 15 minutes)"
	@echo 'make messages  bring the translated texts up to date with templates and code, and compile them'
	@echo 'make lock    compile requirements.lock anew from the pyproject files'
	@echo 'make clean   remove .venv, caches and the state of demos'

setup:
	@command -v $(PYTHON) >/dev/null || { echo 'There is no $(PYTHON). Install Python 3.11 to 3.13, or say make PYTHON=/path/to/python3 demo' >&2; exit 1; }
	@$(PYTHON) -I platform/devstack/bootstrap.py

demo: setup
	@$(BIN)/python -m devstack.demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder $(ARGS)

check: lint test

lint: ruff mypy contracts templates

ruff: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Its Django plugin reads the settings, which want these and connect to nothing.
mypy: export FEDSTUDY_SECRET_KEY = unused
mypy: export FEDSTUDY_DATABASE_URL = postgresql:///unused
mypy: export FEDSTUDY_REDIS_URL = unix:///unused
mypy: export FEDSTUDY_DATA_DIR = .fedstudy
mypy: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

templates: setup
	$(BIN)/djlint --check --lint --quiet templates

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint --reformat --quiet templates

# Kills, cuts and fills what it can on a stack of its own (some 30 minutes; ARGS="--short" takes a few).
faults: setup
	@$(BIN)/python -m tests.faults $(ARGS)

# The stories are tests too; here they write their pictures.
guide: setup
	@FEDSTUDY_GUIDE=yes $(BIN)/python -m pytest -q tests/stories $(ARGS)

EXAMPLES ?= 300
fuzz-api: setup
	@FEDSTUDY_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n $(PROCESSES) tests/security/test_api_by_its_document.py $(ARGS)

bench: setup
	@$(BIN)/python -m bench $(ARGS)

bench-gate: setup
	@$(BIN)/python -m bench.gate $(ARGS)

# PostgreSQL, the sequencer and 64 writers.
bench-log: setup
	@$(BIN)/python -m bench.log $(ARGS)

# A stack of its own with a large synthetic portal: some 15 minutes; ARGS="--events 50000 --rounds 5000" for a smaller one.
bench-pages: setup
	@$(BIN)/python -m bench.web $(ARGS)

# A stack of its own with six nodes, and 150 runs; ARGS="--only flamby-full-fedavg --seeds 42" plays a part and writes nothing.
reproduce: setup
	@$(BIN)/python -m bench.reproduce $(ARGS)

# Says what lacks a translation; django.po is where it is written.
messages: setup
	@$(BIN)/python -m devstack.messages

# torch and its GPU libraries stay out: see requirements-torch.lock.
lock: setup
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
	  --overrides requirements-overrides.txt --no-emit-package fedstudy --no-emit-package fedstudy-core \
	  --no-emit-package fedstudy-node --no-emit-package fedstudy-client \
	  --output-file requirements.lock requirements.in

clean:
	rm -rf .venv .fedstudy build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -not -path './.git/*' -type d -prune -exec rm -rf {} +
