# `make` alone lists the targets. `make help` names the options.
SHELL := bash
PYTHON ?= python3
COMP ?= cifar10
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVELOP := $(VENV)/.develop

export NO_ALBUMENTATIONS_UPDATE := 1

# A name that is no competition's is told with those there are.
PROGRAM = competitions$(if $(wildcard competitions/$(COMP)/__main__.py),.$(COMP), '$(COMP)')

# What is given is passed on: a stage refuses what it does not have.
STAGE = $(BIN)/python -m $(PROGRAM) $@ \
	$(if $(CONFIG),--config '$(CONFIG)') $(if $(DATA),--data '$(DATA)') $(if $(RAW),--raw '$(RAW)') \
	$(if $(OUT),--out '$(OUT)') $(if $(FORMAT),--format '$(FORMAT)') \
	$(if $(KIND),--kind '$(KIND)') $(if $(WEIGHTS),--weights '$(WEIGHTS)') \
	$(if $(SPACE),--space '$(SPACE)') $(if $(TRIALS),--trials '$(TRIALS)') $(if $(HOURS),--hours '$(HOURS)') \
	$(if $(IMAGES),--images '$(IMAGES)') $(if $(DEVICE),--device '$(DEVICE)') \
	$(if $(RUN),--run '$(RUN)') $(if $(RUNS),--runs $(RUNS)) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup test-setup test-lowest ops bench bench-ops bench-detection check-gpu new test-sanitized submit data folds audit preview lr-find compare sweep explain blend upload scores workspace leaderboard serve kernel kernel-rehearse kernel-push train predict class-folders export-model test test-slow lint docs format clean

help: ## list every target
	@echo 'make TARGET [COMP=cifar10] [CONFIG=fast] [DATA=auto|kaggle|mirror|sample | RAW=folder] [OUT=file] [FORMAT=voc|coco|onnx|pt2] [IMAGES=folder] [DEVICE=cpu|cuda:1|mps] [RUN=name] [RUNS="a b"] [UPLOAD=0] [ARGS="--train.epochs 3"]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment and install everything (done by the other targets when needed)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "podium needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m ops.build
	@touch $@

test-setup: $(DEVELOP) ## install what tests and checks need besides (done by them when needed)

$(DEVELOP): $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

ops: $(READY) ## compile the operators, with nvcc also for CUDA; part of set-up (USE_CUDA=0: CPU only)
	$(BIN)/python -m ops.build

bench-ops: ops ## time the operators against torchvision's and ensemble-boxes' in one run
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/peers ensemble-boxes
	$(BIN)/python -m benchmarks.bench_ops

bench-detection: ops ## time the detectors with our operators and with torchvision's in one run
	$(BIN)/python -m benchmarks.bench_detection

bench: ops ## time reading, training, prediction and the operators against others: benchmarks/RESULTS.md (CHECK=1: against it)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/peers ensemble-boxes fastai fastcore \
		'fastprogress<1.1' fastdownload fasttransform plum-dispatch beartype spacy cloudpickle
	$(BIN)/python -m benchmarks $(if $(CHECK),--check) $(ARGS)

check-gpu: $(DEVELOP) ops ## what only a GPU can show, in a page of text (RAW=<CIFAR-10's files>); runs to its end without one
	@$(BIN)/python -m benchmarks.check_gpu $(if $(RAW),--raw '$(RAW)')

new: $(READY) ## make a competition folder: COMP=<slug> TASK=classification|multilabel|soft_labels|regression|segmentation|overlapping_segmentation|image_to_image|detection
	@$(BIN)/python -m pipeline.competition.new '$(COMP)' '$(TASK)'

test-sanitized: $(DEVELOP) ## run the operators' tests on a build with AddressSanitizer and UBSan
	$(BIN)/python -m ops.build --sanitize
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 PODIUM_LIBRARY_DIR=ops/_build/sanitized \
	$(BIN)/python -m pytest tests/ops -o timeout=1200

submit: $(READY) ## everything: data, folds, training, prediction, a validated submission file (UPLOAD=0: no upload)
	@$(STAGE)

data: $(READY) ## fetch and reorganise the raw files
	@$(STAGE)

folds: $(READY) ## assign folds and count the images in each
	@$(STAGE)

audit: $(READY) ## a page of copies, leaks between folds or into test, conflicting targets, odd images
	@$(STAGE)

preview: $(READY) ## draw training images, as they are and augmented, with their labels
	@$(STAGE)

lr-find: $(READY) ## plot the loss over rising learning rates, and suggest a range
	@$(STAGE)

compare: $(READY) ## train several configs (CONFIG=a,b,c) or values (ARGS="--train.lr 0.1,0.2") and put their scores in one table
	@$(STAGE)

explain: $(READY) ## say on a page what a run (RUN=, or the newest) did: data, folds, options, scores, warnings
	@$(STAGE)

sweep: $(READY) ## search over options (SPACE=space.py TRIALS=40 HOURS=8), then the best on all folds; a page
	@$(BIN)/python -c 'import optuna' 2>/dev/null || $(BIN)/python -m pip install --quiet --editable '.[search]'
	@$(STAGE)

blend: $(READY) ## combine finished runs (RUNS="a b c") into a new one, honestly scored
	@$(STAGE)

upload: $(READY) ## hand the newest run's file (or RUN=) in on Kaggle and wait for its score
	@$(STAGE)

scores: $(READY) ## fetch the scores of all uploaded runs into the ledger
	@$(STAGE)

workspace: $(READY) ## save the wandb view of all runs, their scores and curves (needs wandb login)
	@$(STAGE)

leaderboard: $(READY) ## one self-contained HTML page of all ledgers
	@$(BIN)/python -m pipeline.track.leaderboard

serve: $(READY) ## show the leaderboard page on localhost (ARGS="--port 8001")
	@$(BIN)/python -m pipeline.track.serve $(ARGS)

kernel: $(READY) ## build a Kaggle kernel folder (KIND=train|inference RUN= WEIGHTS= ARGS="--no-gpu")
	@$(STAGE)

kernel-rehearse: $(READY) ## run the kernel here as Kaggle would: no network, the image's packages alone
	@$(BIN)/python -m pipeline.kernel.rehearse --folder build/kernel/$(COMP) $(if $(RAW),--raw '$(RAW)') \
		$(if $(CONFIG),--config '$(CONFIG)')

kernel-push: $(READY) ## push the kernel to Kaggle, follow it, fetch its output
	@$(BIN)/python -m pipeline.kernel.push --folder build/kernel/$(COMP)

train: $(READY) ## train every fold that is not trained yet
	@$(STAGE)

predict: $(READY) ## out-of-fold and test predictions; IMAGES=<folder>: of any images, with pictures (RUN=)
	@$(STAGE)

class-folders: $(READY) ## write class folders of hard links for other tools
	@$(STAGE)

export-model: $(READY) ## a finished run (RUN=) as ONNX files or torch.export programs (FORMAT=onnx|pt2), checked
	@$(BIN)/python -c 'import onnxruntime, onnxscript' 2>/dev/null || $(BIN)/python -m pip install --quiet --editable '.[onnx]'
	@$(STAGE)

test: $(DEVELOP) ## run the test suite; says what it skipped and why
	$(BIN)/python -m ops.build
	$(BIN)/python -m pytest -n 2

test-lowest: ## run the test suite on the lowest versions, in an environment of its own (build/lowest)
	test -x build/lowest/bin/python || $(PYTHON) -m venv build/lowest
	build/lowest/bin/python -m pip install --quiet --constraint constraints/lowest.txt --editable '.[dev]'
	PODIUM_LIBRARY_DIR=build/lowest/ops build/lowest/bin/python -m ops.build
	PODIUM_LIBRARY_DIR=build/lowest/ops build/lowest/bin/python -m pytest -n 2

test-slow: $(DEVELOP) ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow

lint: $(DEVELOP) ## check style, the layers, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

docs: $(DEVELOP) ## build the site of docs/ in build/site, without a network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo 'docs: build/site/index.html'

format: $(DEVELOP) ## apply style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove runs and generated data, keep the environment, raw files and submissions
	rm -rf runs data/*/prepared data/*/extracted data/*/folds data/*/sample data/*/audit.html
