# make demo   the whole path on a real model, into ./demo-output
# make test   ruff, mypy and the quick tests
# make bench  our encoder beside its peers; BENCH="--mix short" passes options on
# Each target makes the environment that it needs, once; PYTHON=... chooses the interpreter.
# --use-pep517: packages without wheels are built in isolation, whatever setuptools is at hand.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
DEV := .venv
DEMO := .venv-demo
LOWEST := .venv-lowest
WHEEL := .venv-wheel
PEERS := .venv-peers
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet --use-pep517

# The lock files are for Linux x86-64; elsewhere pip resolves the extras.
ifeq ($(shell uname -sm),Linux x86_64)
SERVE_PACKAGES := --require-hashes -r requirements/serve.lock
DEV_PACKAGES := --require-hashes -r requirements/dev.lock
PROJECT := --no-deps
else
SERVE_PACKAGES := ".[serve]"
DEV_PACKAGES := ".[dev]"
endif

.PHONY: demo pretrain-demo test slow chaos fuzz test-lowest test-wheel wheel resolve lock bench bench-growth clean

demo: $(DEMO)/.installed
	$(DEMO)/bin/python examples/demo.py

# A small encoder from a text of yours, in about ten minutes on two cores: make pretrain-demo CORPUS=...
pretrain-demo: $(DEMO)/.installed
	@test -f "$(CORPUS)" || { echo "give a text: make pretrain-demo CORPUS=corpus.txt"; exit 2; }
	mkdir -p pretrain-output
	cd pretrain-output && test -d vocab || ../$(DEMO)/bin/bertfeat pretrain vocab $(abspath $(CORPUS)) --size 8000 --output vocab
	cd pretrain-output && test -d data || ../$(DEMO)/bin/bertfeat pretrain data $(abspath $(CORPUS)) --tokenizer vocab --output data
	cd pretrain-output && ../$(DEMO)/bin/bertfeat pretrain run --data data --output run --steps 400 --evaluate-every 100 --save-every 100
	echo "one text" | $(DEMO)/bin/bertfeat encode - --model pretrain-output/run/model --pooling mean --output -

test: $(DEV)/.installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/python -m pytest

slow: $(DEV)/.installed
	$(DEV)/bin/python -m pytest -m slow

# Ten minutes of load on a server whose processes are killed; a million malformed messages.
chaos: $(DEV)/.installed
	BERTFEAT_CHAOS_S=600 $(DEV)/bin/python -m pytest -m slow -s tests/server/test_chaos.py

fuzz: $(DEV)/.installed
	BERTFEAT_FUZZ=1000000 $(DEV)/bin/python -m pytest -m slow -s tests/server/test_fuzz.py

# The quick tests with the lowest version of every package that setup.py allows; the oracles, which
# ask for newer ones, are left out.
test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest --without-oracles

# The quick tests against the wheel rather than the tree.
test-wheel: $(WHEEL)/.installed
	$(WHEEL)/bin/python -m pip check
	$(WHEEL)/bin/pytest -o pythonpath=tests

wheel: $(DEV)/.installed
	rm -rf build dist
	$(DEV)/bin/python -m build --outdir dist .

resolve: wheel
	.ci/resolve dist/*.whl

lock: $(DEV)/.installed
	requirements/lock

# Each peer is installed into an environment of its own below $(PEERS) (about 5 GB in all), once.
bench: $(DEV)/.installed
	$(DEV)/bin/python benchmarks/peers.py $(BENCH)

bench-growth: $(DEV)/.installed
	$(DEV)/bin/python benchmarks/growth.py $(BENCH)

clean:
	rm -rf build dist *.egg-info .*_cache .hypothesis $(DEMO) $(LOWEST) $(WHEEL) $(PEERS)
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(DEV)/.installed: requirements/dev.lock requirements/oracles.txt setup.py
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=...')"
	@echo "installing the development packages into $(DEV) (about 2 GB, some minutes)"
	@$(PYTHON) -m venv $(DEV)
	@$(DEV)/bin/python $(PIP_INSTALL) $(DEV_PACKAGES)
	@$(DEV)/bin/python $(PIP_INSTALL) -r requirements/oracles.txt
	@$(DEV)/bin/python $(PIP_INSTALL) $(PROJECT) -e .
	@touch $@

$(DEMO)/.installed: requirements/serve.lock setup.py
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=...')"
	@echo "installing the server's packages into $(DEMO) (about 1.5 GB, a few minutes)"
	@$(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python $(PIP_INSTALL) $(SERVE_PACKAGES)
	@$(DEMO)/bin/python $(PIP_INSTALL) $(PROJECT) -e .
	@touch $@

$(LOWEST)/.installed: $(DEV)/.installed requirements/lowest setup.py
	@$(PYTHON) -m venv --clear $(LOWEST)
	requirements/lowest > $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python $(PIP_INSTALL) -r $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python $(PIP_INSTALL) --no-deps -e .
	@touch $@

$(WHEEL)/.installed: wheel
	rm -rf $(WHEEL)
	@$(PYTHON) -m venv $(WHEEL)
	@$(WHEEL)/bin/python $(PIP_INSTALL) $(SERVE_PACKAGES)
	@$(WHEEL)/bin/python $(PIP_INSTALL) "$$(echo dist/*.whl)[serve]"
	$(WHEEL)/bin/python -m pip check
	@$(WHEEL)/bin/python $(PIP_INSTALL) $(DEV_PACKAGES)
	@$(WHEEL)/bin/python $(PIP_INSTALL) -r requirements/oracles.txt
	@touch $@
