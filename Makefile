# `make test` and `make demo` do everything on a fresh machine: the environment is made when it is
# missing, and brought up to date when pyproject.toml, constraints.txt or the C++ have changed.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NATIVE := CMakeLists.txt $(shell find src/reann -name '*.[ch]pp' -o -name '*.h')

.PHONY: help install demo check test tests facts products sanitize docs benchmark clean

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

install: $(STAMP) ## make the environment in $(VENV), with everything for development

demo: $(STAMP) ## train a small potential on real data and run molecular dynamics with it
	$(BIN)/reann demo

check: $(STAMP) ## format, lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

test: check docs tests ## everything that must pass before a commit

# worksteal: tests of a file share their fixtures, and no process waits for another at the end.
tests: $(STAMP) ## the tests alone
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations 25

facts: $(STAMP) ## write core/facts.hpp from reann/facts.py
	$(BIN)/python tools/write_facts.py

products: $(STAMP) ## write core/kernels/products.hpp from reann/model/products.py
	$(BIN)/python tools/write_products.py

sanitize: $(STAMP) ## the C++ under the sanitizers at every instruction set of this machine
	REANN_SANITIZE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/core/test_sanitizers.py

docs: $(STAMP) ## build the documentation in site/, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

benchmark: $(STAMP) ## speed beside the original; MODEL=... DATA=... adds energy drift
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/step.py --threads 1
	$(BIN)/python benchmarks/speed.py
ifneq ($(and $(MODEL),$(DATA)),)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/nve.py $(MODEL) $(DATA)
endif

clean: ## remove what builds and tests leave behind; the environment stays
	rm -rf build dist site .hypothesis .pytest_cache .ruff_cache
	rm -rf .cmake .ninja_* .skbuild-info.json CMakeCache.txt CMakeFiles CMakeInit.txt \
		build.ninja cmake_install.cmake
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "python3-venv is missing: sudo apt-get install python3-venv" >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || \
		{ echo "A C++ compiler is missing: sudo apt-get install g++" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time this takes a few minutes."
	$(BIN)/pip install --quiet -c constraints.txt cmake nanobind ninja scikit-build-core
	REANN_REQUIRE_NATIVE=1 $(BIN)/pip install --quiet -c constraints.txt --no-build-isolation \
		-e '.[dev,docs,tensorboard]'
	@touch $@
