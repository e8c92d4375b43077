# Needs make and Python 3.11 to 3.14; everything else goes into .venv. `make` prints the commands.

BIN := .venv/bin
READY := .venv/.ready
CI_READY := .venv/.ready-ci
UV := .make/uv/bin/uv

# Which Python .venv is made of: the first of these that is neither too old nor newer than what the
# locks were checked with. To choose: make setup PYTHON=python3.13
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
PYTHON =

PIP := "$(BIN)/python" -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes -r
LOCK = "$(UV)" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test faults soak lint format bench ci lock clean
.DELETE_ON_ERROR:

help: ## Print the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile
	@echo 'Options of the command behind go into ARGS: make test ARGS="-k broker -x"'

setup: $(READY) ## Make .venv with everything that was locked, and this project in it

demo: $(READY) ## Find anomalies in streaming CloudTrail traffic, on a Kafka of its own
	@"$(BIN)/trailstreams" demo $(ARGS)

test: $(READY) ## Run all tests, those on a real Kafka included
	"$(BIN)/python" -m pytest $(ARGS)

# About an hour; it goes on where it stopped as long as the code is the same.
faults: $(READY) ## Break brokers, workers and networks for an hour, and hold the counts against truth
	@PYTHONPATH=tests "$(BIN)/python" -m faults $(ARGS)

lint: $(READY) ## Check style, types and layers
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"

format: $(READY) ## Format the code
	"$(BIN)/ruff" format .
	"$(BIN)/ruff" check --fix .

bench: $(READY) ## Measure all, or BENCH=engine only, and write docs/performance.md anew
	"$(BIN)/python" -m benchmarks $(BENCH) -- $(ARGS)

soak: $(READY) ## Hold a worker under load for half an hour and look at its memory
	@PYTHONPATH=tests "$(BIN)/python" -m faults.soak $(ARGS)

# The tests fail instead of being skipped where CI is true and a tool is absent.
ci: export CI := true
ci: $(CI_READY) lint test ## Do what CI does: lint and test, with Helm and promtool there

lock: $(UV) ## Write requirements/*.txt anew from pyproject.toml; ARGS=--upgrade takes newer versions
	$(LOCK) --extra broker --extra registry --group dev pyproject.toml requirements/build.in -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	$(LOCK) -c requirements/dev.txt --extra registry pyproject.toml -o requirements/runtime.txt
	$(LOCK) -c requirements/dev.txt --group ci -o requirements/ci.txt
	$(LOCK) requirements/peers.in -o requirements/peers.txt

clean: ## Remove .venv and everything that was generated; Kafka's jars stay in the user's cache
	rm -rf .venv .make .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip asks for nothing over the network where what is locked is installed already, and the project
# itself is built with what is in .venv: so a second run is offline, whatever its reason.
$(READY): requirements/dev.txt pyproject.toml
	@"$(BIN)/python" -c pass 2>/dev/null || { \
	for python in $(or $(PYTHON),$(PYTHONS)); do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
			2>/dev/null || continue; \
		echo "Making .venv with $$("$$python" --version)"; \
		"$$python" -m venv --clear .venv; exit; \
	done; \
	echo 'error: Trailstreams needs Python 3.11 to 3.14, found none:' \
		'install one, or name one with make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'Installing what is locked in requirements/dev.txt'
	@$(INSTALL) requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(CI_READY): requirements/ci.txt $(READY)
	@$(INSTALL) requirements/ci.txt
	@touch $@

$(UV): $(READY)
	@"$(BIN)/python" -m venv .make/uv
	@.make/uv/bin/python -m pip --disable-pip-version-check --quiet install uv
