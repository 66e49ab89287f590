# Every target works from a fresh clone: `make test` installs what it needs into .venv first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
# One test process more than CPUs. A process that runs out of tests takes some of another's, from the end of its queue,
# so that tests of one file mostly share their fixtures.
PARALLEL := -n auto --dist worksteal
DATA   ?= ../shared/datasets

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench-quality docs lint format schemas lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## install everything, pinned, into .venv

# Dependency groups need pip >= 25.1; Python 3.11 brings an older one.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $@

demo: install ## recommend something, in a minute, without a server
	$(BIN)/llmrec demo $(ARGS)

test: install ## run the tests against a real Qdrant and a real Redis (ARGS="-k name" narrows)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: lint ## what to run after every change: lint, and the tests that need no server
	$(BIN)/python -m pytest $(PARALLEL) --ignore tests/integration -m 'not (qdrant or redis or model or slow)' $(ARGS)

bench-quality: install ## how good the lists are on a part of MovieLens (DATA=folder of the data sets)
	$(BIN)/python -m benchmarks.quality movielens --small --data $(DATA)

lint: install ## check style, formatting, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## build the documentation site, strictly, into build/site
	$(BIN)/python docs/scripts/build_site.py

schemas: install ## write the JSON Schemas of the contracts
	$(BIN)/python -c 'from llmrec_qdrant.contracts.schema import write_schemas; write_schemas("schemas/v1")'

lock: ## resolve everything anew and rewrite constraints.txt, and the image's requirements with their hashes
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/python -m pip install --quiet --editable '.[all]' --group dev
	{ echo '# Exact versions everything is tested with; written by `make lock`.'; \
	  build/lock/bin/python -m pip freeze --exclude-editable | sed 's/+[^+]*$$//'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	build/lock/bin/python -m pip install --quiet uv
	{ echo '# What the image of the workers installs, with hashes; written by `make lock`.'; \
	  build/lock/bin/uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11 \
	    --python-platform linux --extra workers --constraint constraints.txt pyproject.toml; } > build/requirements.txt
	mv build/requirements.txt image-requirements.txt
	rm -rf build/lock

clean: ## remove everything that is made here
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
