# Two commands: `make run` and `make test`. Both set up what they need.

PORT ?= 8000
VENV := .venv
PY := $(VENV)/bin/python
PINS := requirements.in requirements-sandbox.in requirements-dev.in

.PHONY: run test test-quick bench lint types imports pins clean

run: $(VENV)/.run
	@$(PY) manage.py run --port $(PORT)

test: $(VENV)/.dev
	@scripts/test $(FILES)

test-quick: $(VENV)/.dev
	@scripts/test --quick

bench: $(VENV)/.dev
	@scripts/bench

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy .

imports: $(VENV)/.dev
	$(VENV)/bin/lint-imports

$(VENV)/bin/python:
	@$$(scripts/find-python) -m venv $(VENV)

$(VENV)/.run: requirements-sandbox.txt | $(VENV)/bin/python
	@echo "Installing what mPanel needs (once)."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-sandbox.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(VENV)/bin/python
	@echo "Installing what the tests need (once)."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $(VENV)/.run $@

pins: $(VENV)/bin/python
	$(PY) -m pip install --quiet uv
	for list in $(PINS:.in=); do \
		$(VENV)/bin/uv pip compile --quiet --no-annotate --no-header --generate-hashes \
			--universal --python-version 3.12 --upgrade $$list.in -o $$list.txt; \
	done

clean:
	rm -rf $(VENV) var staticfiles
