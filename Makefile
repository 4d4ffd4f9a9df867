# deepfield: `make demo` and `make test` need Python 3.11 to 3.13 and make, nothing else.

# The first of these that is a Python 3.11 to 3.13; or name one: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1 \
	&& { echo "$$p"; break; }; done)
VENV ?= .venv
# Training sets of the shipped presets and of the benchmarks; the folder above image/mnist.
DATA ?= ../shared/data
# Processes of the tests: each one holds TensorFlow (about 1 GB).
WORKERS ?= 2
# Damaged files and bundles that `make fuzz` tries of every form.
CASES ?= 100000

BIN := $(VENV)/bin
PY := $(BIN)/python
FOR_DEMO := $(VENV)/.installed-for-demo
FOR_TEST := $(VENV)/.installed-for-test
BENCH := build/bench

.DELETE_ON_ERROR:
.PHONY: help demo test slow fuzz lint format types docs refresh installs bench presets results clean

help:
	@echo "make demo     install into $(VENV) and run 'deepfield demo' (writes demo.html)"
	@echo "make test     install and run the tests (make slow: the long ones too)"
	@echo "make fuzz     damaged files and bundles, CASES=$(CASES) of every form"
	@echo "make lint     ruff and mypy;  make docs: build the site;  make refresh: run its commands"
	@echo "make installs wheel and sdist in clean environments of every Python 3.11 to 3.13 found"
	@echo "make presets  train every shipped preset again (DATA=$(DATA))"
	@echo "make bench    every benchmark (DATA=$(DATA));  make results: their tables"

demo: $(FOR_DEMO)
	$(BIN)/deepfield demo

test: $(FOR_TEST)
	$(PY) -m pytest -n $(WORKERS) --dist worksteal

slow: $(FOR_TEST)
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "slow or not slow"

fuzz: $(FOR_TEST)
	DEEPFIELD_CASES=$(CASES) $(PY) -m pytest -n $(WORKERS) --dist worksteal tests/hostile

lint: $(FOR_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(FOR_TEST)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(FOR_TEST)
	$(BIN)/mkdocs build --strict

refresh: $(FOR_TEST)
	$(PY) docs/refresh.py

installs: $(FOR_TEST)
	rm -rf build/dist
	$(PY) -m build --outdir build/dist .
	.ci/installs build/dist

presets: $(FOR_DEMO)
	$(PY) benchmarks/make_presets.py --data "$(DATA)"

results: $(FOR_DEMO)
	$(PY) benchmarks/results.py

# One file of figures a benchmark; `results` collects whatever is there.
bench: $(FOR_TEST)
	@mkdir -p $(BENCH)
	$(PY) benchmarks/cold_start.py >$(BENCH)/cold_start.json
	$(PY) benchmarks/agreement.py >$(BENCH)/agreement.json
	$(PY) benchmarks/lenet_speed.py --data "$(DATA)/image/mnist" >$(BENCH)/lenet_speed.json
	$(PY) benchmarks/predict_mnist.py --data "$(DATA)/image/mnist" >$(BENCH)/predict_mnist.json
	$(PY) benchmarks/imagenet_sample.py --data "$(DATA)/image/imagenet-sample" >$(BENCH)/imagenet_sample.json
	$(PY) benchmarks/kill_resume.py >$(BENCH)/kill_resume.json
	$(PY) benchmarks/long_work.py --data "$(DATA)" >$(BENCH)/long_work.json
	$(PY) benchmarks/gtsrb.py --data "$(DATA)/image/gtsrb" >$(BENCH)/gtsrb.json
	$(PY) benchmarks/babi.py --data "$(DATA)/qa" >$(BENCH)/babi.json
	$(PY) benchmarks/qa_speed.py --data "$(DATA)/qa/babi/tasks_1-20_v1-2-train.tar.gz" >$(BENCH)/qa_speed.json
	$(PY) benchmarks/unseen_names.py >$(BENCH)/unseen_names.json
	$(PY) benchmarks/drug_speed.py --data "$(DATA)/drug/moleculenet" >$(BENCH)/drug_speed.json
	$(PY) benchmarks/drug_training.py --data "$(DATA)/drug/moleculenet" >$(BENCH)/drug_training.json
	$(PY) benchmarks/merck.py --data "$(DATA)/drug/merck/METAB_training.csv.gz" >$(BENCH)/merck.json
	$(PY) benchmarks/small_sets.py --data "$(DATA)/drug/moleculenet" >$(BENCH)/small_sets.json
	$(PY) benchmarks/moleculeace.py --data "$(DATA)/drug/moleculeace" >$(BENCH)/moleculeace.json
	$(PY) benchmarks/moleculenet.py --data "$(DATA)/drug/moleculenet" >$(BENCH)/moleculenet.json
	$(PY) benchmarks/dlib_parity.py --data "$(DATA)/face/lfw" >$(BENCH)/dlib_parity.json
	$(PY) benchmarks/face_speed.py --data "$(DATA)/face/lfw" >$(BENCH)/face_speed.json
	$(PY) benchmarks/lfw.py --data "$(DATA)/face" >$(BENCH)/lfw.json
	$(PY) benchmarks/genome_speed.py --data "$(DATA)/genomics" >$(BENCH)/genome_speed.json
	$(PY) benchmarks/genome_folds.py --data "$(DATA)/genomics" >$(BENCH)/genome_folds.json
	@echo "spliceai_parity, spliceai_equal, spliceai_speed, splice_zero_shot need deepfield[spliceai]: non-commercial use" >&2
	$(PY) benchmarks/an4.py --data "$(DATA)/speech/an4" >$(BENCH)/an4.json
	$(PY) benchmarks/fsdd.py --data "$(DATA)/speech/fsdd" >$(BENCH)/fsdd.json
	$(PY) benchmarks/speech_speed.py --data "$(DATA)/speech/an4" >$(BENCH)/speech_speed.json
	$(PY) benchmarks/suite.py >$(BENCH)/suite.json
	$(PY) benchmarks/results.py

$(PY):
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 found" >&2; \
	echo "hint: install one, or make ... PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# Installed again only when the requirements change.
$(FOR_DEMO): pyproject.toml constraints.txt | $(PY)
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[imagenet,face]'
	@touch $@

$(FOR_TEST): pyproject.toml constraints.txt | $(PY)
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[imagenet,face,dev]'
	@touch $@ $(FOR_DEMO)

clean:
	rm -rf build dist site demo.html .mypy_cache .ruff_cache .pytest_cache
