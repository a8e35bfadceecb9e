# Every target sets up what it needs: uv (the one on PATH if it works, else one in .uv), Python, packages.

UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
RUN := $(UV) run --no-sync
PORT := ports/ppo-Pendulum-v1
PARALLEL := --numprocesses auto --maxprocesses 4

.PHONY: help demo test interop thorough newest fuzz lint format benchmarks docs dist try-dist clean setup

help:
	@echo "make demo        port the Pendulum checkpoint in fixtures/, verify it and run it"
	@echo "make test        run the tests"
	@echo "make interop     run the tests that take long or build environments with other packages"
	@echo "make thorough    run the tests that take very long: every case, where the others run some"
	@echo "make newest      run the tests with the newest releases of all packages"
	@echo "make fuzz        read changed files without end, from a fresh seed"
	@echo "make lint        check style and types"
	@echo "make format      format the code"
	@echo "make benchmarks  measure start-up, conversion and predict"
	@echo "make docs        build the documentation as a site, into site/"
	@echo "make dist        build wheels and source distributions, into dist/"
	@echo "make try-dist    install those into an empty environment, and run the README's commands there"
	@echo "make clean       remove what was set up"

demo: setup
	@$(RUN) sb3port convert fixtures/hub/sb3port/ppo-Pendulum-v1 $(PORT) --force
	@$(RUN) sb3port eval $(PORT) --env Pendulum-v1 --episodes 10
	@echo
	@echo "The port lies in $(PORT). Next:"
	@echo "  $(RUN) sb3port verify $(PORT)"
	@echo "  $(RUN) lerobot-eval --policy.path=$(PORT) --env.type=gymnasium --env.task=Pendulum-v1 \\"
	@echo "      --eval.n_episodes=2 --eval.batch_size=2 --eval.use_async_envs=false"

test: setup
	$(RUN) pytest -m "not interop and not long and not thorough" $(PARALLEL) --dist worksteal

interop: setup
	$(RUN) pytest -m "(interop or long) and not thorough" $(PARALLEL) --dist loadfile

thorough: setup
	$(RUN) pytest -m thorough $(PARALLEL) --dist worksteal

newest: setup
	$(UV) venv --quiet --clear .newest
	$(UV) pip install --quiet --python .newest --exclude-newer "$$(date -u +%Y-%m-%dT%H:%M:%SZ)" --upgrade \
		--editable . --editable lerobot_policy_ppo --group dev
	.newest/bin/python -m pytest -m "not interop and not long and not thorough" $(PARALLEL) --dist worksteal

fuzz: setup
	$(RUN) python -m tests.fuzz

lint: setup
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

format: setup
	$(RUN) ruff check --fix
	$(RUN) ruff format

benchmarks: setup
	$(RUN) python benchmarks/startup.py
	@test -d $(PORT) || $(RUN) sb3port convert fixtures/hub/sb3port/ppo-Pendulum-v1 $(PORT) --no-verify --quiet
	$(RUN) sb3port latency $(PORT) --calls 20000

# In an environment of its own, which has neither torch nor LeRobot.
docs: export UV_PROJECT_ENVIRONMENT := .docs
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --quiet --no-default-groups --group docs
	$(RUN) mkdocs build --strict

# The wheels are built from the source distributions.
dist: $(filter .uv/bin/uv,$(UV))
	rm -rf dist
	$(UV) build --quiet --all-packages --out-dir dist
	@ls -l dist

try-dist: $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --clear --python 3.12 .try
	$(UV) pip install --quiet --python .try dist/sb3port-*.whl
	.try/bin/sb3port convert fixtures/hub/sb3port/ppo-Pendulum-v1 .try/port --no-verify --quiet
	$(UV) pip install --quiet --python .try "$$(ls dist/sb3port-*.whl)[all]" dist/*.whl pytest
	.try/bin/python -m pytest -m "not thorough" tests/docs/test_pages.py

clean:
	rm -rf .venv .uv .interop .newest .docs .try dist site uv.lock

setup: $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --quiet --compile-bytecode

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
