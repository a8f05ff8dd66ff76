# Every target installs what it needs. Any `python3` will do to start with; .venv holds everything else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PHOTOPEAK = .venv/bin/python -m photopeak

.DEFAULT_GOAL := help
.PHONY: help demo test check unit bench docs down doctor setup up peers

help: ## show this
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'
	@echo "  more: .venv/bin/photopeak --help"

demo: setup ## set up, start the platform and a simulated hospital, compare what was planted with what was found
	@$(PHOTOPEAK) demo

up: setup ## start the platform, or the services of it that are not running
	@$(PHOTOPEAK) up

down: ## stop the platform; all data stay
	@if [ -x .venv/bin/python ]; then $(PHOTOPEAK) down; else echo "nothing is running: the platform was never set up here"; fi

doctor: ## check the machine: Python, Java, disk, memory, ports (nothing is downloaded)
	@$(PYTHON) photopeak/doctor.py

setup: ## check the machine, then install the Python environments (1.2 GB the first time)
	@$(PYTHON) photopeak/doctor.py --install
	@$(PYTHON) photopeak/environments.py pipeline airflow superset

test: ## run all tests; as root it installs the programs they compare with (dcmtk, Orthanc, Chromium, fonts)
	@$(PYTHON) photopeak/doctor.py --install --peers
	@$(PYTHON) photopeak/environments.py pipeline airflow superset peers
	@.venv/bin/python tests/all.py

check: peers ## check style, types, SQL and import rules of the working copy (under a minute once mypy has its cache)
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -c "from importlinter.cli import lint_imports_command as c; c()" --no-cache
	@.venv-peers/bin/python -m sqlfluff lint --disable-progress-bar dbt_project/models
	@.venv/bin/python -m mypy

unit: peers ## run the unit tests alone (a few minutes, no services)
	@.venv/bin/python -m pytest -q -p no:cacheprovider tests/unit

bench: peers ## measure speed and memory beside pylinac, and throughput on Spark; writes docs/speed.md (at most 15 minutes)
	@.venv/bin/python -m bench.speed; goals=$$?; .venv/bin/python -m bench.throughput && exit $$goals

docs: peers ## write the generated pages anew: docs/dictionary.md, docs/methods.md, docs/methods/, docs/accuracy.md (truth, Photopeak, pylinac)
	@.venv/bin/python -m bench.dictionary
	@.venv/bin/python -m bench.methods
	@.venv/bin/python -m bench.accuracy

peers:
	@$(PYTHON) photopeak/doctor.py --install
	@$(PYTHON) photopeak/environments.py pipeline peers
