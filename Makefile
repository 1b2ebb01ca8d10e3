# make demo: a virtual environment, the install, the main job.   make test: the test suite.
# make gallery: everything that is generated under derivations/.   make notebooks: the notebooks from their text forms.
# make docs: the documentation, in build/docs.   make pictures: what the README and the documentation show, docs/kinks.md too.
# make reliability: the test suite in its long form, with every one of many alike where `make test` takes a few
# (tests/conftest.py), and every chapter of docs/reliability.md; python -m reliability --help for one, or for the short form.
# make certificates: Coq checks the certificate of every case of the gallery, and refuses every planted error.
# make bench: benchmarks against peers, which it installs; python -m benchmarks --into docs/benchmarks.md puts them there.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test reliability certificates lint gallery notebooks docs pictures bench clean

demo: .venv/.installed
	$(BIN)/fcsym derive 2-2-1 --order sequential

test: .venv/.test
	$(BIN)/pytest -n 2

reliability: .venv/.test
	FCSYM_LONG=1 $(BIN)/pytest -n 2
	$(BIN)/python -m reliability --into docs/reliability.md

certificates: .venv/.test
	$(BIN)/python -m fcsym.gallery --certify
	FCSYM_LONG=1 $(BIN)/pytest -q -n 2 tests/test_certificates.py -k refuses

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

gallery: .venv/.test
	$(BIN)/python -m fcsym.gallery
	$(BIN)/python -m fcsym.paper

notebooks: .venv/.test
	$(BIN)/python -m notebooks

docs: .venv/.test
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo build/docs/index.html

pictures: .venv/.test
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/kinks.py

bench: .venv/.bench
	$(BIN)/python -m benchmarks

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fcsym needs Python 3.11 or later: set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/.test: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

.venv/.bench: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv
