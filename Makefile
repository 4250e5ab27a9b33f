# Every verb of the project; `make` alone prints this list.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
BROWSER_READY := .venv/.browser
# Processes of the suite: as many as there are processors, eight at most.
WORKERS ?= logical

help: ## what can be done here
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: setup ## the whole product on http://127.0.0.1:8800, with a simulated WeCom and a demo bank
	@$(BIN)/siyu demo

setup: .venv/.ready ## the environment in .venv, nothing started

.venv/.ready: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.ready-dev: .venv/.ready
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(BROWSER_READY): .venv/.ready-dev
	@sh tests/install_browser.sh
	@touch $@

test: .venv/.ready-dev $(BROWSER_READY) ## the whole suite, on a real PostgreSQL and a real browser
# Byte code is kept: the suite starts the product anew some hundred times.
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal

extras: .venv/.ready-dev ## the tests of sentence models and of text in pictures; installs 2 GB for them
	@$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[models,ocr]'
	@$(BIN)/pytest -m extras

check: .venv/.ready-dev ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.ready-dev ## rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: .venv/.ready-dev $(BROWSER_READY) ## figures and ratios, side by side in one run
	@$(BIN)/python -m bot.bench

chaos: .venv/.ready-dev ## every fault in full: killed, lost, doubled, forged, a thousand days
	@$(BIN)/python -m bot.chaos

screenshots: .venv/.ready-dev $(BROWSER_READY) ## the pictures of the README, from the running demo
	@$(BIN)/python -m tests.screenshots

.PHONY: help demo setup test extras check format bench chaos screenshots
