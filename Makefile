# The two commands for a newcomer are `make demo` and `make test`; both set up what they need.
# Wanted on the machine: make, git and any Python 3 with venv or pip. uv and Python 3.13 are fetched when missing.

UV_VERSION := 0.13.9
# An installed uv is used from this version on.
UV_OLDEST := 0.7.0
UV := $(shell found=$$(uv --version 2>/dev/null | cut -d' ' -f2); \
	[ -n "$$found" ] && [ "$$(printf '%s\n' $(UV_OLDEST) "$$found" | sort -V | head -n 1)" = $(UV_OLDEST) ] \
	&& command -v uv || echo .tools/bin/uv)
RUN := $(UV) run --no-sync
STAMP := .venv/.voicebot-synced
ARGS :=

# Where it is set, as in many container images, every process that is started would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test audit lint format bench fuzz docs image-check setup clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## A whole call on this machine: no account, no phone, no network
	@$(RUN) voicebot demo $(ARGS)

test: setup ## The whole test suite (ARGS="-k name" for a part)
	@$(RUN) pytest $(ARGS)

lint: setup ## Format, lint, types, import rules, spelling
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports --no-logo
	$(RUN) codespell

audit: setup ## Ask whether a locked dependency has a known vulnerability
	@$(RUN) python tools/audit.py $(ARGS)

format: setup ## Format the code and mend what can be mended by itself
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

bench: setup ## Measure calls per core and latency (BASE=commit to compare with)
	@$(RUN) python bench/run.py $(if $(BASE),--base $(BASE)) $(ARGS)

fuzz: setup ## Fuzz the parsers with coverage guidance (ARGS="--seconds 600 twilio")
	@$(UV) sync --locked --extra local --group fuzz --quiet
	@$(RUN) python bench/fuzz.py $(ARGS)

docs: setup ## Write docs/settings.md from the settings, monitoring/grafana.json from its panels
	@$(RUN) python tools/settings_doc.py
	@$(RUN) python tools/dashboard.py

image-check: setup ## Run the Dockerfile's build steps without Docker and try what they built
	@$(RUN) python tools/rehearse_image.py

# Quiet when nothing changed since the last time; `uv sync` itself then takes about a tenth of a second.
setup: $(UV)
	@if [ $(STAMP) -nt uv.lock ] && [ $(STAMP) -nt pyproject.toml ]; then \
		$(UV) sync --locked --extra local --quiet; \
	else \
		echo "Setting up .venv from uv.lock; the first time fetches about 160 MB ..."; \
		$(UV) sync --locked --extra local && touch $(STAMP); \
	fi

.tools/bin/uv:
	@echo "Installing uv $(UV_VERSION) into .tools ..."
	@rm -rf .tools
	@{ python3 -m venv .tools >/dev/null 2>&1 && .tools/bin/pip install --quiet "uv==$(UV_VERSION)"; } \
		|| { rm -rf .tools && python3 -m pip install --quiet --target .tools "uv==$(UV_VERSION)"; } \
		|| { echo "No way to install uv: this python3 has neither venv nor pip." \
			"Install one of them (on Debian: apt-get install python3-venv), or uv itself, and try again." >&2; exit 1; }

clean: ## Remove everything that the other commands made
	rm -rf .venv .tools .mypy_cache .ruff_cache .hypothesis .import_linter_cache .pytest_cache .coverage build dist demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
