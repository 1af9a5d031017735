# Every target passes ARGS="key=value ..." on to Hydra. DATA=town|navsim, MODEL=wote_tiny|wote, TRAINER=cpu|gpu|ddp.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup doctor plan-data estimate train-convgru-1epoch train-convgru-5epoch train-convgru-20epoch train-baseline compare leaderboard report \
	overfit-batch resume ablation-fusion search slurm-convgru-1epoch slurm-baseline slurm-ablation-fusion evaluate labels label-file \
	weights stages drive replay probe-layout probe-velocity headroom bench-wote bench-pdm bench-streaming bench-temporal \
	bench-guards wandb-sync wandb-dashboard nuplan test check clean

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
EXPERIMENT ?= convgru_1epoch
ABLATION ?= $(if $(filter navsim,$(DATA)),convgru_1epoch,ablation_small)
CHOICES := data=$(DATA) model=$(MODEL) trainer=$(TRAINER) profile=$(PROFILE)

# `make train-baseline trainer.max_epochs=5` would set a variable that nobody reads.
KNOWN := PYTHON VENV DATA MODEL TRAINER PROFILE ABLATION EXPERIMENT ARGS CKPT RUN RUNS
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

define script
@echo "$(PY) $(1)"; $(PY) $(1); code=$$?; \
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

doctor: setup ## what would stop a run, before it is started: software, GPU, data, labels, maps, disk (EXPERIMENT=name)
	$(call run,wotempo.commands.doctor experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

plan-data: setup ## what the run needs on disk: which archives and files, what is here, what is missing, bytes (EXPERIMENT=name)
	$(call run,wotempo.commands.plan_data experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

estimate: setup ## what a run will need, measured: it/s, memory, hours, requeues, cost; refuses what cannot fit (EXPERIMENT=name)
	$(call run,wotempo.commands.estimate experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

train-convgru-1epoch: setup ## one epoch of WoTE with four ConvGRU-fused frames, judged by named criteria
	$(call run,wotempo.commands.train experiment=convgru_1epoch $(CHOICES) $(ARGS))

train-baseline: setup ## one epoch of single-frame WoTE
	$(call run,wotempo.commands.train experiment=baseline_1epoch $(CHOICES) $(ARGS))

compare: setup ## the latest ConvGRU epoch against the latest baseline epoch, or RUNS="folder folder …" of runs or sweeps
	$(call run,wotempo.commands.compare $(RUNS) $(ARGS))

leaderboard: setup ## every run below runs/, or RUNS="folder …": verdict, score with intervals, cost; failures shown
	$(call run,wotempo.commands.leaderboard $(RUNS) $(ARGS))

report: setup ## RUN=folder: one HTML file that needs no network: verdict, curves, scenes, scores (docs/report.md)
	@test -n "$(RUN)" || { echo 'say which run: make report RUN=runs/...'; exit 2; }
	$(call run,wotempo.commands.report "$(RUN)" $(ARGS))

wandb-sync: setup ## upload what ran offline below runs/, or RUN=folder; ARGS=dry_run=true says what (docs/wandb.md)
	$(call run,wotempo.commands.wandb_sync $(if $(RUN),"$(RUN)") $(RUNS) $(ARGS))

wandb-dashboard: setup ## write the dashboard of the wandb project; ARGS=dry_run=true prints it (docs/wandb.md)
	$(call run,wotempo.commands.wandb_dashboard $(ARGS))

train-convgru-5epoch: setup ## five epochs, judged more strictly: the validation run, after one epoch was accepted
	$(call run,wotempo.commands.train experiment=convgru_5epoch $(CHOICES) $(ARGS))

train-convgru-20epoch: setup ## twenty epochs: the full run
	$(call run,wotempo.commands.train experiment=convgru_20epoch $(CHOICES) $(ARGS))

overfit-batch: setup ## drive the loss of one batch down: the quickest check that learning works
	$(call run,wotempo.commands.train experiment=overfit_batch $(CHOICES) $(ARGS))

resume: setup ## continue the latest interrupted run, or RUN=folder, in its folder and with its configuration (docs/resume.md)
	$(call run,wotempo.commands.resume $(if $(RUN),"$(RUN)"))

ablation-fusion: setup ## does history help: variants × three seeds, one table with intervals; finished runs are kept
	$(call run,wotempo.commands.train --multirun experiment=$(ABLATION) ablation=fusion $(CHOICES) $(ARGS))

# The machine profile says which trainer, and the run is a full one, unless you say otherwise.
SLURM_CHOICES = data=$(DATA) model=$(MODEL) $(foreach v,TRAINER PROFILE,$(if $(filter file,$(origin $(v))),,$(shell echo $(v) | tr A-Z a-z)=$($(v))))
search: setup ## Optuna over configs/search/learning.yaml: ask, train, tell; goes on where it stopped (ARGS="search=… trials=20")
	$(call run,wotempo.commands.search run experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

slurm-convgru-1epoch: setup ## submit that run to Slurm by a machine profile; ARGS=dry_run=true prints the job (docs/slurm.md)
	$(call run,wotempo.commands.slurm experiment=convgru_1epoch $(SLURM_CHOICES) $(ARGS))

slurm-baseline: setup ## submit the single-frame run to Slurm
	$(call run,wotempo.commands.slurm experiment=baseline_1epoch $(SLURM_CHOICES) $(ARGS))

slurm-ablation-fusion: setup ## every run of ablation-fusion as a Slurm job of its own
	$(call run,wotempo.commands.slurm --multirun experiment=$(ABLATION) ablation=fusion $(SLURM_CHOICES) $(ARGS))

evaluate: setup ## CKPT=path: score a checkpoint on the test split
	@test -n "$(CKPT)" || { echo 'say which checkpoint: make evaluate CKPT=runs/.../checkpoints/last.ckpt'; exit 2; }
	$(call run,wotempo.commands.evaluate "checkpoint='$(CKPT)'" data=$(DATA) $(ARGS))

drive: setup ## CKPT=path: replay the test split frame by frame, as a car sees it, beside the windowed evaluation
	@test -n "$(CKPT)" || { echo 'say which checkpoint: make drive CKPT=runs/.../checkpoints/last.ckpt'; exit 2; }
	$(call run,wotempo.commands.drive "checkpoint='$(CKPT)'" data=$(DATA) $(ARGS))

replay: setup ## RUN=folder: do the step again that ended a run, from its failure/ folder alone
	@test -n "$(RUN)" || { echo 'say which run: make replay RUN=runs/...'; exit 2; }
	$(call run,wotempo.commands.replay "run='$(RUN)'" $(ARGS))

probe-layout: setup ## CKPT=path: where objects land in its BEV map, and how well that map can be moved with the ego
	@test -n "$(CKPT)" || { echo 'say which checkpoint: make probe-layout CKPT=runs/.../checkpoints/last.ckpt'; exit 2; }
	$(call script,scripts/studies/probe_layout.py "checkpoint='$(CKPT)'" data=$(DATA) $(ARGS))

probe-velocity: setup ## RUN=folder: what of the agents' velocities its BEV maps tell, with and without history
	@test -n "$(RUN)" || { echo 'say which run: make probe-velocity RUN=runs/...'; exit 2; }
	$(call script,scripts/studies/probe_velocity.py $(RUN) $(ARGS))

headroom: setup ## RUNS="folder …": what velocities are worth to the collision scores, and how much of it runs have learnt
	@test -n "$(RUNS)" || { echo 'say which runs: make headroom probe-velocity RUNS="runs/... runs/..."'; exit 2; }
	$(call script,scripts/studies/headroom.py $(RUNS))

labels: setup ## PDM scores of all anchors at all scenes of DATA (docs/labels.md); training finds them
	$(call run,wotempo.commands.labels data=$(DATA) preset=$(MODEL) $(ARGS))

label-file: setup ## ARGS="direction=import|export file=... labels=... anchors=...": WoTE's formatted_pdm_score_256.npy in and out
	$(call run,wotempo.commands.label_file $(ARGS))

weights: setup ## ARGS="direction=import|export checkpoint=... output=...": official WoTE checkpoints in and out
	$(call run,wotempo.commands.weights $(ARGS))

stages: setup ## parameters and multiply-accumulates of every fusion stage, at every level and both sizes
	$(PY) -m wotempo.commands.stages

bench-wote: setup ## time and memory of the full-size model beside its plain twin
	$(PY) scripts/bench/bench_wote.py $(ARGS)

bench-pdm: setup ## CPU time of the PDM score beside its plain twin
	$(PY) scripts/bench/bench_pdm.py $(ARGS)

bench-streaming: setup ## latency of a streaming push beside the single-frame model; ARGS=--full for the full size
	$(PY) scripts/bench/bench_streaming.py $(ARGS)

bench-temporal: setup ## what four frames cost beside one, in training and driving; ARGS=--quick to try it
	$(PY) scripts/bench/bench_temporal.py $(ARGS)

bench-guards: setup ## what all acceptance criteria together cost a run; ARGS=--quick to try it
	$(PY) scripts/bench/bench_guards.py $(ARGS)

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
