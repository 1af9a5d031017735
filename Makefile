# Every target passes ARGS="key=value ..." on to Hydra. DATA=town|navsim, MODEL=wote_tiny|wote, TRAINER=cpu|gpu|ddp.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup train-convgru-1epoch train-baseline overfit-batch ablation-fusion evaluate labels label-file weights \
	stages drive probe-layout headroom probe-velocity bench-wote bench-pdm bench-streaming bench-temporal nuplan test check clean

PYTHON ?= python3.11
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.wotempo-setup

DATA ?= town
MODEL ?= $(if $(filter navsim,$(DATA)),wote,wote_tiny)
TRAINER ?= $(if $(filter navsim,$(DATA)),gpu,cpu)
# The full-size model on a CPU takes a few steps only, to show that it runs.
PROFILE ?= $(if $(and $(filter wote,$(MODEL)),$(filter cpu,$(TRAINER))),smoke,full)
ARGS ?=
ABLATION ?= $(if $(filter navsim,$(DATA)),convgru_1epoch,ablation_small)
CHOICES := data=$(DATA) model=$(MODEL) trainer=$(TRAINER) profile=$(PROFILE)

# `make train-baseline trainer.max_epochs=5` would set a variable that nobody reads.
KNOWN := PYTHON VENV DATA MODEL TRAINER PROFILE ABLATION ARGS CKPT RUNS
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command line,$(origin $(v))),$(v)))
STRAY := $(filter-out $(KNOWN),$(GIVEN))
ifneq ($(strip $(STRAY)),)
$(error $(firstword $(STRAY)) is no variable of this Makefile: keys of the configuration go into ARGS, as in ARGS="$(firstword $(STRAY))=$($(firstword $(STRAY)))"; it knows $(KNOWN))
endif

# make can only say 0 or 2, so the code of the Python command is printed.
define run
@echo "$(PY) -m $(1)"; $(PY) -m $(1); code=$$?; \
if [ $$code -ne 0 ]; then echo "exit code $$code (make itself can only say 2)"; fi; exit $$code
endef

help: ## show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-22s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv and install (does nothing when nothing changed)
$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV): several GB and some minutes the first time"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt -e ".[dev]"
	@touch $(STAMP)

train-convgru-1epoch: setup ## one epoch of WoTE with four ConvGRU-fused frames, judged by ten criteria
	$(call run,wotempo.commands.train experiment=convgru_1epoch $(CHOICES) $(ARGS))

train-baseline: setup ## one epoch of single-frame WoTE
	$(call run,wotempo.commands.train experiment=baseline_1epoch $(CHOICES) $(ARGS))

overfit-batch: setup ## drive the loss of one batch down: the quickest check that learning works
	$(call run,wotempo.commands.train experiment=overfit_batch $(CHOICES) $(ARGS))

ablation-fusion: setup ## does history help: variants × three seeds, one table with intervals; finished runs are kept
	$(call run,wotempo.commands.train --multirun experiment=$(ABLATION) ablation=fusion $(CHOICES) $(ARGS))

evaluate: setup ## CKPT=path: score a checkpoint on the test split
	@test -n "$(CKPT)" || { echo 'say which checkpoint: make evaluate CKPT=runs/.../checkpoints/last.ckpt'; exit 2; }
	$(call run,wotempo.commands.evaluate "checkpoint='$(CKPT)'" data=$(DATA) $(ARGS))

drive: setup ## CKPT=path: replay the test split frame by frame, as a car sees it, beside the windowed evaluation
	@test -n "$(CKPT)" || { echo 'say which checkpoint: make drive CKPT=runs/.../checkpoints/last.ckpt'; exit 2; }
	$(call run,wotempo.commands.drive "checkpoint='$(CKPT)'" data=$(DATA) $(ARGS))

probe-layout: setup ## CKPT=path: where objects land in its BEV map, and how well that map can be moved with the ego
	@test -n "$(CKPT)" || { echo 'say which checkpoint: make probe-layout CKPT=runs/.../checkpoints/last.ckpt'; exit 2; }
	$(call run,wotempo.commands.probe_layout "checkpoint='$(CKPT)'" data=$(DATA) $(ARGS))

probe-velocity: setup ## RUN=folder: what of the agents' velocities its BEV maps tell, with and without history
	@test -n "$(RUN)" || { echo 'say which run: make probe-velocity RUN=runs/...'; exit 2; }
	$(call run,wotempo.commands.probe_velocity $(RUN) $(ARGS))

headroom: setup ## RUNS="folder …": what velocities are worth to the collision scores, and how much of it runs have learnt
	@test -n "$(RUNS)" || { echo 'say which runs: make headroom probe-velocity RUNS="runs/... runs/..."'; exit 2; }
	$(call run,wotempo.commands.headroom $(RUNS))

labels: setup ## PDM scores of all anchors at all scenes of DATA (docs/labels.md); training finds them
	$(call run,wotempo.commands.labels data=$(DATA) preset=$(MODEL) $(ARGS))

label-file: setup ## ARGS="direction=import|export file=... labels=... anchors=...": WoTE's formatted_pdm_score_256.npy in and out
	$(call run,wotempo.commands.label_file $(ARGS))

weights: setup ## ARGS="direction=import|export checkpoint=... output=...": official WoTE checkpoints in and out
	$(call run,wotempo.commands.weights $(ARGS))

stages: setup ## parameters and multiply-accumulates of every fusion stage, at every level and both sizes
	$(PY) -m wotempo.commands.stages

bench-wote: setup ## time and memory of the full-size model beside its plain twin
	$(PY) tests/bench/bench_wote.py $(ARGS)

bench-pdm: setup ## CPU time of the PDM score beside its plain twin
	$(PY) tests/bench/bench_pdm.py $(ARGS)

bench-streaming: setup ## latency of a streaming push beside the single-frame model; ARGS=--full for the full size
	$(PY) tests/bench/bench_streaming.py $(ARGS)

bench-temporal: setup ## what four frames cost beside one, in training and driving; ARGS=--quick to try it
	$(PY) tests/bench/bench_temporal.py $(ARGS)

nuplan: setup ## nuplan-devkit (not on PyPI), an optional second map backend
	$(PY) -m pip install --quiet --constraint constraints.txt -e ".[nuplan]"
	$(PY) -m pip install --no-deps "nuplan-devkit @ git+https://github.com/motional/nuplan-devkit@nuplan-devkit-v1.2"

test: setup ## all tests
	$(PY) -m pytest $(ARGS)

check: setup ## lint and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy src callbacks

clean: ## remove runs, generated towns and caches (not the environment)
	rm -rf runs workspace .pytest_cache .ruff_cache .mypy_cache .hypothesis
