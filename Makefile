# "make" alone lists the targets. scripts/setup.sh makes .venv and keeps it current.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all test-newest test-cuda validate lint format typecheck lock setup setup-core clean

BIN := .venv/bin
# A worker without tests takes over half of what another one has left.
WORKERS := -n 2 --dist worksteal
# Brian2's makefiles call g++ unless CXX says otherwise.
ifeq ($(origin CXX)$(shell command -v g++ 2>/dev/null),default)
export CXX := clang++
endif

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: setup-core ## train on small digits and write the result to runs/demo
	$(BIN)/python experiments/mnist_stdp.py --dataset digits --epochs 3 --out runs/demo

test: setup ## run the tests (more options: make test ARGS="-k doctor")
	$(BIN)/python -m pytest -q $(WORKERS) --durations=10 $(ARGS)

test-all: setup ## run the tests with all that is nightly, and with the newest Brian2
	$(BIN)/python -m pytest -q $(WORKERS) --durations=10 -m "" --hypothesis-profile=all $(ARGS)
	scripts/test-newest.sh $(ARGS)

test-newest: setup ## run the tests that touch Brian2 with its newest version (Python 3.13)
	scripts/test-newest.sh $(ARGS)

test-cuda: setup ## have nvcc compile large networks; needs no GPU, takes many minutes
	BIOSNN_TEST_CUDA=all $(BIN)/python -m pytest -q tests/test_cuda_code.py tests/test_cuda_compile.py $(ARGS)

validate: setup ## hold the library against closed forms and publications, and write a record (about an hour)
	$(BIN)/python -m validation --out benchmarks/records/$(shell date +%F)-validation.json $(ARGS)

lint: setup ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## mend style and formatting where that is safe
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

typecheck: setup ## check types
	$(BIN)/python -m pyright

lock: setup-core ## pin requirements.txt anew (newer versions: make lock ARGS=--upgrade)
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --quiet \
	    --all-extras --universal --python-version 3.12 $(ARGS) --output-file requirements.txt

setup: ## make .venv with all that development needs
	@scripts/setup.sh full

setup-core: ## make .venv with what the package needs to run
	@scripts/setup.sh core

clean: ## remove what builds, tests and the demo left behind
	rm -rf build dist runs/demo *.egg-info .pytest_cache .ruff_cache .test-cache .hypothesis
	find biosnn tests experiments benchmarks scripts -type d -name __pycache__ -prune -exec rm -rf {} +
