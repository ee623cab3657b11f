# make test, make demo, make campaigns: each works alone from a fresh clone, with Python >= 3.11 and pip.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: test oldest campaigns mutants demo docs docs-check lint format stubs package gpu clean

# One thread for each of the two processes: on two cores, more get in each other's way. Each takes half of the tests,
# file by file, and then what the other has not come to: what a file fits once is seldom fitted twice.
test: export OMP_NUM_THREADS = 1
test: lint
	$(RUN) -m pytest -n 2 --dist worksteal

# On the oldest versions that pyproject.toml allows, but for torch: the contract, files, plots, calls, and all that stands
# between rows and nets. Whether the models are right, and what takes minutes, does not depend on them.
NOT_OLDEST := dask distributed autoencoder classifier density starts tables processes docs benchmarks campaigns mutants fuzz \
	outlier_answers outlier_drift outlier_folds outlier_groups outlier_images outlier_streams outlier_tail \
	onnx tools types devices inference larger_than_memory label_spreading holes mixed losses series two_views pool weights
oldest: export OMP_NUM_THREADS = 1
oldest: $(VENV)-oldest/ready
	$(VENV)-oldest/bin/python -m pytest -n 2 --dist worksteal \
		--ignore-glob 'tests/test_nn_*' --ignore-glob 'src/sklatent/*onnx*' $(patsubst %,--ignore tests/test_%.py,$(NOT_OLDEST))

# What breaks things on purpose, for less than ten minutes; writes the table of docs/reliability.md.
campaigns: $(VENV)/ready
	$(RUN) tests/campaigns

# Faults planted one at a time, and whether the tests see them: a quarter of an hour, and more the first time.
mutants: $(VENV)/ready
	$(RUN) tests/campaigns/mutants.py

# What only a GPU can tell: the suite on it, speed, published figures; writes its tables as it goes.
gpu: $(VENV)/ready
	$(RUN) benchmarks/gpu.py

demo: $(VENV)/ready
	$(RUN) examples/plot_low_label_digits.py

# The site, in build/docs: a warning is an error, and every script of the gallery runs.
docs: export OMP_NUM_THREADS = 1
docs: $(VENV)/ready-docs
	$(RUN) -m sphinx -W --keep-going -q -b html docs build/docs

# Looks at the site in a browser, and runs each block of the pages to see that it prints what the page shows: some minutes.
docs-check: docs
	$(RUN) docs/check.py

lint: $(VENV)/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(VENV)/ready
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# What editors and type checkers read, src/sklatent/*.pyi, from the docstrings.
stubs: $(VENV)/ready
	$(RUN) docs/stubs.py

# Wheel and sdist, in build/dist; the wheel, made from the sdist, is installed by itself, where README's blocks then run.
package: export OMP_NUM_THREADS = 1
package: $(VENV)/ready
	rm -rf build/dist $(VENV)-package
	$(RUN) -m pip install --quiet --constraint constraints.txt build twine
	$(RUN) -m build --outdir build/dist
	$(RUN) -m twine check --strict build/dist/*
	$(PYTHON) -m venv $(VENV)-package
	$(VENV)-package/bin/python -m pip install --quiet --no-compile --constraint constraints.txt build/dist/*.whl
	$(VENV)-package/bin/python tests/installed_script.py

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[test,onnx,tools]"
	touch $@

$(VENV)/ready-docs: $(VENV)/ready
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

$(VENV)-oldest/ready: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable ".[test]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-package output build docs/api docs/changes docs/gallery docs/guide docs/results
