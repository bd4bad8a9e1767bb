# Everything runs from .venv; `make setup` builds it. Variables: SEED, POSTS, PHOTOS (a folder of shop photos).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

export FASHION_DATA ?= $(CURDIR)/data
export FASHION_SEED ?= $(or $(SEED),1)
export FASHION_POSTS ?= $(POSTS)
export FASHION_PHOTOS ?= $(if $(PHOTOS),$(abspath $(PHOTOS)))
# A folder of real photos may have annotated neighbours. It is too small for the gates: its numbers are honest and low.
export FASHION_GATES ?= $(if $(PHOTOS),off)
export FASHION_STREET ?= $(if $(PHOTOS),$(wildcard $(abspath $(PHOTOS)/../street)))
export FASHION_THUMBNAILS ?= $(if $(PHOTOS),$(wildcard $(abspath $(PHOTOS)/../thumbnails)))
# Runs, logs and schedules are kept here. Without DAGSTER_HOME, plain `dagster` commands keep them in a temporary folder.
export DAGSTER_HOME ?= $(CURDIR)/.dagster
# `dagster` says of itself that `dg` supersedes it; both work here.
export PYTHONWARNINGS ?= ignore:Function
# Training caps its own threads; idle BLAS pools only spin.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo scale dev serve test check bench clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## build .venv and install what is missing, Debian's Chromium too

$(STAMP): pyproject.toml scripts/setup.sh
	PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV)
	@touch $@

# Made where it is missing, and never over another one: a DAGSTER_HOME of your own may serve other projects too.
$(DAGSTER_HOME)/dagster.yaml:
	@mkdir -p $(DAGSTER_HOME)
	@ln -sf $(CURDIR)/dagster.yaml $@

demo: setup $(DAGSTER_HOME)/dagster.yaml ## the whole chain on the sandbox: SEED=n, or PHOTOS=folder for real photos
	$(BIN)/python -m pipelines demo

scale: setup $(DAGSTER_HOME)/dagster.yaml ## the chain up to the dataset at full size, run again to go on: PAIRS=n, HOURS=n
	$(BIN)/python -m pipelines scale --pairs $(or $(PAIRS),290000) --hours $(or $(HOURS),8)

dev: setup $(DAGSTER_HOME)/dagster.yaml ## the Dagster UI on http://127.0.0.1:3000
	$(BIN)/dagster dev -h 127.0.0.1 -p 3000

serve: setup ## the search page on http://127.0.0.1:8700, on what the demo left
	$(BIN)/python -m search serve --data $(FASHION_DATA) $(if $(FASHION_MILVUS),--milvus $(FASHION_MILVUS))

test: setup ## run the tests
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

check: setup ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## where the demo's time goes
	$(BIN)/python -m benchmarks.demo

clean: setup ## remove what runs made (data and Dagster's state) if it can be made again, keep .venv: FORCE=1 removes all
	$(BIN)/python -m pipelines clean --dagster-home $(CURDIR)/.dagster $(if $(FORCE),--force)
