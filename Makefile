# make demo: hear the demo voice.  make test: run every check.
# Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
RUN = .venv/bin/python

.PHONY: demo test env clean

demo:
	$(PYTHON) scripts/demo.py

test: env
	$(RUN) scripts/check.py

env:
	$(PYTHON) scripts/setup_env.py --dev

clean:
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
