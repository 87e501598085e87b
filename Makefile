# Everything starts here. Needs Python ≥ 3.11, git and make; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
NAMES ?=

.DEFAULT_GOAL := help
.PHONY: help env repro report page test test-slow bench lint format clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(READY)  ## install everything into .venv

$(READY): requirements.lock scripts/make_env.sh
	sh scripts/make_env.sh "$(PYTHON)" "$(VENV)"
	@touch $@

repro: $(READY)  ## run the whole comparison (dvc repro) and write reports/index.html
	@python -m pipeline mend
	dvc repro
	@echo "report: $(CURDIR)/reports/index.html"

report: $(READY)  ## open the report, or print where it is
	@test -f reports/index.html || { echo "there is no report yet; run: make repro"; exit 1; }
	@python -m webbrowser -t "file://$(CURDIR)/reports/index.html" >/dev/null 2>&1 || true
	@echo "report: $(CURDIR)/reports/index.html"

page: $(READY)  ## open a page on which the fitted models look at your photographs
	python -m pipeline page

test: $(READY)  ## all tests but the slow ones (minutes on two cores)
	@sh scripts/find_browser.sh
	python -m pytest -n 2

test-slow: $(READY)  ## the slow ones
	python -m pytest -m slow

bench: $(READY)  ## our kernels against their peers; NAMES="hog prepare" for some
	python -m benchmarks $(NAMES)

lint: $(READY)  ## ruff and mypy
	ruff format --check .
	ruff check .
	mypy

format: $(READY)  ## let ruff put the code in form
	ruff format .
	ruff check --fix .

clean:  ## remove what the pipeline made (downloads stay)
	rm -rf data codebooks models features results work reports/metrics.json reports/tables reports/plots reports/errors.json reports/index.html reports/summary.md reports/charts
