# Two commands do everything: `make reproduce` and `make test`; both set up .venv first.
PYTHON := $(shell for p in python3.13 python3.12 python3.14 python3 python $$HOME/.pyenv/versions/3.1[2-9]*/bin/python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin

.PHONY: reproduce test synthetic setup lint coverage-study design-coverage calibrate bench clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "riskmodels needs Python 3.12 or newer; none was found on the path"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

reproduce: setup
	$(BIN)/riskmodels reproduce disrupting-harm --out out

lint: setup
	$(BIN)/ruff check riskmodels tests benchmarks calibration data
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

coverage-study: setup
	$(BIN)/python benchmarks/coverage_study.py

design-coverage: setup
	$(BIN)/python benchmarks/design_coverage.py

calibrate: setup
	$(BIN)/python calibration/calibrate.py
	$(BIN)/python calibration/calibrate_regression.py
	$(BIN)/python calibration/calibrate_cooccurrence.py

bench: setup
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/collapse_scale.py

clean:
	rm -rf .venv out build *.egg-info

synthetic: setup
	$(BIN)/python data/make_synthetic.py
