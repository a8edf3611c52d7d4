# make demo   sets up everything and shows the main job, in under 15 minutes on 2 cores
# make test   sets up everything and runs the tests and checks, in under 10 minutes
# make test-all   the same with the long proofs (marked slow)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGE_VENV := build/package-venv
PYTEST_OPTIONS ?= -m "not slow"
NODE_PACKAGES := onnxruntime-node@1.30.0 onnxruntime-web@1.30.0

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: setup demo test test-all lint types layers unit node package help-pages sheets readme-images clean

setup: $(VENV)/.ready

# torch first, in the version of the constraints, so that nothing else brings another one.
$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): torch and the rest are downloaded, which can take some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash docs/examples/demo.sh

test: lint types layers unit package

test-all: PYTEST_OPTIONS :=
test-all: test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

unit: setup node
	$(BIN)/pytest -n auto --dist loadfile $(PYTEST_OPTIONS)

# What runs exports in Node and in a browser; where npm is missing, the tests of these are skipped.
node: node_modules/.ready

node_modules/.ready:
	@mkdir -p node_modules
	@if command -v npm >/dev/null; then \
		npm install --silent --no-save --no-package-lock --ignore-scripts $(NODE_PACKAGES) || echo "npm cannot install $(NODE_PACKAGES)"; \
	else echo "npm is not installed: tests in Node and in a browser are skipped"; fi
	@touch $@

# The built wheel, in an environment of its own, does the whole job with nothing missing.
package: setup
	rm -rf dist build
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv $(PACKAGE_VENV)
	$(PACKAGE_VENV)/bin/python -m pip install --quiet torch
	$(PACKAGE_VENV)/bin/python -m pip install --quiet dist/*.whl
	$(PACKAGE_VENV)/bin/python -m pip check
	@PATH="$(CURDIR)/$(PACKAGE_VENV)/bin:$$PATH" bash tests/package.sh

# docs/commands.md, from the commands' own help.
help-pages: setup
	$(BIN)/python docs/examples/help_pages.py

# docs/images, the sheets of docs/synth.md.
sheets: setup
	$(BIN)/python docs/examples/synth_sheets.py

# docs/images, the two images of README.md; needs tmux.
readme-images: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/examples/readme_images.py docs/images

clean:
	rm -rf build dist demo node_modules $(VENV)
