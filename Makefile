# make demo: run every notebook and write reports/index.html.   make test: lint, tests, notebooks, browser tests.
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin

# Spinning threads on a busy machine make torch ten times slower; read before torch is imported.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test lint lab clean chromium

demo: .venv/.ok
	$(BIN)/workbench run --all

test: .venv/.ok chromium lint
	$(BIN)/python -m pytest

lint: .venv/.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

lab: .venv/.ok
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf .venv *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find workbench tests -name __pycache__ -prune -exec rm -rf {} +

.venv/.ok: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "The workbench needs Python 3.11 or newer as $(PYTHON): install it, or name another with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	@touch $@

# Browser tests drive Debian's Chromium; without it they are skipped and say so.
APT := apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core
chromium:
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif ! command -v apt-get >/dev/null; then echo "No Chromium here: the browser tests will be skipped."; \
	elif [ "$$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive sh -c '$(APT)' || echo "Chromium could not be installed: the browser tests will be skipped."; \
	elif sudo -n true 2>/dev/null; then sudo -n DEBIAN_FRONTEND=noninteractive sh -c '$(APT)' || echo "Chromium could not be installed: the browser tests will be skipped."; \
	else echo "No Chromium, and no right to install it (apt-get install chromium): the browser tests will be skipped."; fi
