# Everything a newcomer needs: each target does its own set-up.
#
#   make serve                      serve the built-in demo model
#   make serve ARGS="DIR --port 8010"   options of `glm3edge serve`
#   make test                       all checks

VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt scripts/install.sh

.PHONY: serve install test lint types floors pytest format clean

serve: $(VENV)/.installed
	@$(BIN)/glm3edge serve $(ARGS)

install: $(VENV)/.installed

$(VENV)/.installed: $(INPUTS)
	@scripts/install.sh
	@touch $@

$(VENV)/.installed-dev: $(INPUTS)
	@scripts/install.sh dev
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

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
