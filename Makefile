# Two commands do everything on a fresh machine:
#   make run    set up .venv and evaluate the sample stores
#   make test   set up .venv with all that the tests need, check the style, and run the tests

PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell $(python) -c "import sys; sys.version_info >= (3, 11) and print(sys.executable)" 2>/dev/null)))
VENV ?= .venv
# Any torch will do; this one is what the tests were last run with. PyPI's Linux wheels of torch bring CUDA along.
TORCH ?= torch==2.13.0 torchaudio==2.11.0
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 2

.PHONY: run test lint clean

run: $(VENV)/.core
	$(VENV)/bin/python -m jfewshot.run

test: $(VENV)/.test lint
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/.core: pyproject.toml
	@test -n "$(PYTHON)" || { echo "jfewshot needs Python 3.11, 3.12 or 3.13; name one with PYTHON=..." >&2; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	$(PIP) install --editable .
	touch $@

# pip is told of torch first and alone, so that no other package's wish brings in another build of it.
$(VENV)/.test: $(VENV)/.core
	$(PIP) install $(TORCH)
	$(PIP) install --editable '.[extraction,pretrain,report,bench,test]'
	$(PIP) install --editable '.[lm]' || echo "KenLM cannot be built here (it needs a C++ compiler): its tests will be skipped"
	touch $@

clean:
	rm -rf $(VENV) results report build *.egg-info
