# make book, make test; PROFILE=smoke, laptop or full chooses what the book is built from
PROFILE ?= laptop
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# where it is set, each of many processes would compile every module that it imports anew
unexport PYTHONDONTWRITEBYTECODE

# where the project is published; with it chapters have buttons for Binder and Colab
export M3L_BOOK_REPOSITORY := $(REPOSITORY)

.PHONY: book smoke chapter pdf slides report cards deposit exercises test test-all test-fast rehearsal lab bench photographs manuals languages lint serve clean

book: $(VENV)/ready
	$(RUN) workflow/build.py $(PROFILE)

# the same on corpora of a few hundred articles
smoke:
	$(MAKE) book PROFILE=smoke

# one page, from what is there: make chapter NAME=07-retrieval
chapter: $(VENV)/ready
	$(RUN) workflow/build.py $(PROFILE) --page $(NAME)

# on paper, of the book that is built; needs Debian's chromium
pdf: book
	$(RUN) workflow/printing.py $(PROFILE) book

slides report cards: book
	$(RUN) workflow/printing.py $(PROFILE) $@

# book, report, evidence and claims in one archive, to hand on: build/PROFILE/deposit.zip
deposit: report .venv.crate/ready
	$(RUN) workflow/deposit.py $(PROFILE)
	.venv.crate/bin/python workflow/crate.py build/$(PROFILE)/deposit

# for students, without answers
exercises: $(VENV)/ready
	$(RUN) -m m3l_book.apparatus.lessons build/exercises

test: $(VENV)/ready
	$(RUN) -m pytest

# and what takes long: encoders on many items, whole scripts, properties on many examples
test-all: $(VENV)/ready
	$(RUN) -m pytest --thorough

test-fast: $(VENV)/ready
	$(RUN) -m pytest tests/test_m3l tests/test_project.py -m "not slow"

# the paper's profile against a miniature Wikipedia on the loopback, in a copy of the project
rehearsal: $(VENV)/ready
	rm -rf build/rehearsal
	$(RUN) tests/rehearsal.py build/rehearsal

# with this environment's kernel, whatever others the machine has
lab: $(VENV)/ready
	env -u JUPYTER_PATH JUPYTER_PREFER_ENV_PATH=1 $(RUN) -m jupyterlab .

bench: $(VENV)/ready .venv.ctm/ready .venv.lda/ready
	$(RUN) benchmarks/bench.py
	$(RUN) benchmarks/steps.py $(PROFILE)
	$(RUN) benchmarks/weigh.py build/$(PROFILE)/html
	$(RUN) benchmarks/again.py
	$(RUN) benchmarks/independent.py

# photographs of a Debian package in the place of pictograms, placed by the runs of profile full
photographs: $(VENV)/ready
	$(RUN) benchmarks/photographs.py

# long documents: Debian's manual pages in two languages, recorded in data/results/manuals
manuals: $(VENV)/ready
	$(RUN) benchmarks/manuals.py
	$(RUN) workflow/build.py manuals --runs '*'
	$(RUN) workflow/build.py manuals --record

# what a third language gives, recorded in data/results/languages
languages: $(VENV)/ready
	$(RUN) workflow/build.py languages --runs '*'
	$(RUN) workflow/build.py languages --record

lint: $(VENV)/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check m3l m3l_book workflow tests benchmarks
	$(RUN) -m ruff format --check --line-length 88 book/*.ipynb book/exercises/*.ipynb

serve: book
	$(RUN) -m http.server --bind 127.0.0.1 --directory build/$(PROFILE)/html 8000

# what was generated; data/cache and data/downloads, which are slow to make and never stale, stay
# unless removed by hand, and so do a user's own files
clean:
	rm -rf build .snakemake $(foreach p,$(basename $(notdir $(wildcard workflow/profiles/*.yaml))),data/$(p)/prepared data/$(p)/embeddings runs/$(p))

# requirements.txt is the full set, so that nothing has to be resolved; modules are compiled when first imported
$(VENV)/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, $(PYTHON) is another; try make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --no-deps --no-compile --requirement requirements.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	$(VENV)/bin/pip check
	touch $@

# an environment of its own; --no-deps since the package asks for much that its ZeroShotTM never imports
.venv.ctm/ready: requirements-ctm.txt
	$(PYTHON) -m venv .venv.ctm
	.venv.ctm/bin/pip install --quiet --requirement requirements-ctm.txt
	.venv.ctm/bin/pip install --quiet --no-deps contextualized-topic-models==2.6.1
	touch $@

.venv.lda/ready: requirements-lda.txt
	$(PYTHON) -m venv .venv.lda
	.venv.lda/bin/pip install --quiet --requirement requirements-lda.txt
	touch $@

.venv.crate/ready: requirements-crate.txt
	$(PYTHON) -m venv .venv.crate
	.venv.crate/bin/pip install --quiet --requirement requirements-crate.txt
	touch $@
