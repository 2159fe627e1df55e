# Every target makes its own .venv when there is none: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python
PROJECT := setup.py settings.ini constraints.txt
PIP_INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Logs that may be measured but not redistributed: a folder beside the checkout, if ULV_DATA names no other. Without one, tests of them skip and say so.
LOGS := $(wildcard ../shared/data)
ifneq ($(LOGS),)
export ULV_DATA ?= $(abspath $(LOGS))
endif
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test docs lab export readme wheel clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv

# The two stamps say which extras .venv holds; whoever develops has what the demo needs as well.
.venv/.demo: $(PROJECT) | $(RUN)
	@echo "Installing ulv_jax and what the demo needs into .venv (a few minutes the first time)"
	@$(PIP_INSTALL) -e '.[boost,demo,plot,report]'
	@touch $@

.venv/.dev: $(PROJECT) | $(RUN)
	@echo "Installing ulv_jax and its development tools into .venv (a few minutes the first time)"
	@$(PIP_INSTALL) -e '.[dev]'
	@touch .venv/.demo $@

demo: .venv/.demo  ## forecast the customers of a real grocery chain; writes ulv-demo/
	@$(BIN)/ulv demo --out ulv-demo

test: .venv/.dev  ## notebooks and package agree, the notebooks run, pytest passes
	@sh tests/install_chromium.sh
	@sh tests/install_postgres.sh
	@sh tests/install_java.sh
	@$(RUN) tests/agree.py
	@# the programs that the models' pages compile fill a process, so the other pages get one of their own
	@$(BIN)/nbdev_test --n_workers 2 --do_print --path nbs/models
	@$(BIN)/nbdev_test --n_workers 2 --do_print --skip_folder_re '^[_.]|^models$$'
	@$(RUN) -m pytest -m 'not release'

docs: .venv/.dev  ## build the site into _docs/, warnings are errors (DOCS_OFFLINE=1: MathJax beside the pages)
	@$(RUN) docs/build.py
	@echo "The site is in _docs/: open _docs/index.html, or $(RUN) -m http.server -d _docs"

lab: .venv/.dev  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab nbs

export: .venv/.dev  ## bring package and README up to date with the notebooks, and clean these
	@$(BIN)/nbdev_export
	@$(BIN)/nbdev_clean
	@$(RUN) docs/readme.py

readme: .venv/.dev  ## README.md from nbs/index.ipynb
	@$(RUN) docs/readme.py

wheel: .venv/.dev  ## build wheel and sdist, install each alone in an empty environment, import every module
	@$(RUN) -m pytest tests/test_wheel.py

clean:  ## remove what was built, but not .venv
	@rm -rf _docs _proc _sphinx jupyter_execute build dist ulv-demo *.egg-info .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
