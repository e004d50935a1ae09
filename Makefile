# hqnas. `make` alone lists what there is to do. PYTHON chooses the interpreter that .venv is made with.

PYTHON ?= python3
VENV := .venv
# Relative, so that a path with spaces to this folder does no harm.
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Peers have an environment of their own: JAX warns whenever a process forks, and the tests take warnings for errors.
BENCH := out/venv-bench
BENCH_STAMP := $(BENCH)/.installed
HOME_OF_DEMO := out/demo
ARGS ?=
SCHEDULES ?= 1000
SEED ?=

.DEFAULT_GOAL := help
.PHONY: help install demo serve check test chaos simulate study bench-engine templates

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## Make .venv with everything for one machine and for the tests

demo: $(STAMP) ## Run a whole search on this machine, from the empty database to the front
	@mkdir -p $(dir $(HOME_OF_DEMO))
	@exec $(BIN)/hqnas up --home $(HOME_OF_DEMO) --fresh --port 0 --workers 2 --stop-with-parent \
		-- $(BIN)/python examples/demo.py

serve: $(STAMP) ## Run the service on this machine until Ctrl-C (ARGS="--port 8080")
	@exec $(BIN)/hqnas up --stop-with-parent $(ARGS)

check: $(STAMP) ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## Check, then run all tests (ARGS="-m 'not integration'")
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal $(ARGS)

chaos: check ## Kill real processes for an hour, and write docs/reliability.md (ARGS="-k storm": a part, and no document)
	@$(if $(ARGS),,rm -f out/recoveries.json)
	$(BIN)/python -m pytest tests/faults $$(PYTHONPATH=tests $(BIN)/python -m faults.scenarios) --chaos --repeats 20 $(ARGS)
	@$(if $(ARGS),,PYTHONPATH=tests $(BIN)/python -m faults.reliability)

simulate: $(STAMP) ## Run seeded schedules of faults in one thread (SCHEDULES=10000, or SEED=1234 to see one again)
	@PYTHONPATH=tests $(BIN)/python -m faults.simulation $(if $(SEED),--seed $(SEED),--schedules $(SCHEDULES)) $(ARGS)

study: $(STAMP) ## Ask both questions of the paper again, and write docs/study.md
	@mkdir -p out
	@exec $(BIN)/hqnas up --home out/study --fresh --port 0 --workers 2 --stop-with-parent \
		-- $(BIN)/python examples/study/study.py

bench-engine: $(BENCH_STAMP) ## Time the engines beside their peers, and write docs/performance.md (ARGS=--quick)
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

templates: $(STAMP) ## Measure the named templates at four qubits, and write docs/templates.md
	@$(BIN)/python -m benchmarks.templates $(ARGS)

# torch goes first and alone: pip then keeps it, instead of weighing other builds of it for each package that asks.
$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "hqnas: there is no $(PYTHON); install Python 3.11 or later, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "hqnas: $$("$(PYTHON)" --version) is too old; install Python 3.11 or later, or say make PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "hqnas: $(PYTHON) cannot make virtual environments; install its venv package (Debian: apt install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(STAMP)

$(BENCH_STAMP): $(STAMP)
	@test -x $(BENCH)/bin/pip || $(BIN)/python -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $(BENCH_STAMP)
