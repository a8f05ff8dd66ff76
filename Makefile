# Every target installs what it needs. The outside `python3` only has to exist; .venv holds everything else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PHOTOPEAK = .venv/bin/python -m photopeak

.DEFAULT_GOAL := help
.PHONY: help demo test check unit bench docs down doctor setup up peers

help: ## show this
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'
	@echo "  more: .venv/bin/photopeak --help"

demo: setup ## set everything up, start the platform and a pretend hospital, show what was planted and what was found
	@$(PHOTOPEAK) demo

up: setup ## start the platform
	@$(PHOTOPEAK) up

down: ## stop the platform
	@if [ -x .venv/bin/python ]; then $(PHOTOPEAK) down; else echo "nothing is running: the platform was never set up here"; fi

doctor: ## check the machine: Python, Java, disk, memory, ports (nothing is downloaded)
	@$(PYTHON) photopeak/doctor.py

setup: ## check the machine, then install the Python environments (1.2 GB the first time)
	@$(PYTHON) photopeak/doctor.py --install
	@$(PYTHON) photopeak/environments.py pipeline airflow superset

test: ## run all tests; installs peers (dcmtk, Orthanc, Chromium, fonts) where it may
	@$(PYTHON) photopeak/doctor.py --install --peers
	@$(PYTHON) photopeak/environments.py pipeline airflow superset peers
	@.venv/bin/python tests/all.py

check: peers ## style, types, SQL and import rules of the working copy (under a minute when mypy has run before)
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -c "from importlinter.cli import lint_imports_command as c; c()" --no-cache
	@.venv-peers/bin/python -m sqlfluff lint --disable-progress-bar dbt_project/models
	@.venv/bin/python -m mypy

unit: peers ## the unit tests alone (a few minutes, no services)
	@.venv/bin/python -m pytest -q -p no:cacheprovider tests/unit

bench: peers ## measure speed and memory beside pylinac, and throughput on Spark: writes docs/speed.md (15 minutes at most)
	@.venv/bin/python -m bench.speed; goals=$$?; .venv/bin/python -m bench.throughput && exit $$goals

docs: peers ## write docs/accuracy.md, docs/methods.md and docs/methods/ anew: truth against Photopeak against pylinac; all procedures
	@.venv/bin/python -m bench.methods
	@.venv/bin/python -m bench.accuracy

peers:
	@$(PYTHON) photopeak/doctor.py --install
	@$(PYTHON) photopeak/environments.py pipeline peers
