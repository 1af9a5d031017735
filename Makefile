# Every target passes ARGS="key=value ..." on to Hydra. DATA=town|navsim, MODEL=wote_tiny|wote, TRAINER=cpu|gpu|ddp.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup doctor plan-data estimate train-convgru-1epoch train-baseline train-convgru-5epoch train-convgru-20epoch \
	overfit-batch resume compare report leaderboard evaluate drive replay labels ablation-fusion search \
	slurm-convgru-1epoch slurm-baseline slurm-ablation-fusion wandb-sync convert bench study test check clean

# The first of them that runs here: a name may be there without its Python (pyenv).
PYTHON ?= $(shell for p in python3.11 python3.12 $$HOME/.pyenv/versions/3.1[12].*/bin/python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
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

# `make train-baseline trainer.max_epochs=5` would set a variable that is not read.
KNOWN := PYTHON VENV DATA MODEL TRAINER PROFILE ABLATION EXPERIMENT ARGS CKPT RUN RUNS WHAT NAME WITH
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

# $(call choice,WHAT,what it is,known ones): one sentence, exit 2, where the variable is none of the known ones.
define choice
@for known in $(3); do [ "$$known" = "$($(1))" ] && exit 0; done; \
echo "say which $(2): make $@ $(1)=<name>, one of: $(3)$(if $($(1)), (there is no '$($(1))'))"; exit 2
endef

help: ## show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-22s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv and install (nothing when nothing changed); WITH=nuplan adds nuplan-devkit (docs/official_agent.md)
ifeq ($(WITH),nuplan)
	$(PY) -m pip install --quiet --constraint constraints.txt -e ".[nuplan]"
	$(PY) -m pip install --no-deps "nuplan-devkit @ git+https://github.com/motional/nuplan-devkit@nuplan-devkit-v1.2"
else ifneq ($(WITH),)
	@echo "setup knows WITH=nuplan, not WITH=$(WITH)"; exit 2
endif
$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV): several GB and some minutes the first time"
	@test -x $(PY) || test -n "$(PYTHON)" || { echo "setup needs python3.11 or python3.12, and neither is here: install one, or name it with make setup PYTHON=<path>"; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt -e ".[dev]"
	@touch $(STAMP)

doctor: setup ## what would stop a run, before it is started: software, GPU, data, labels, maps, disk (EXPERIMENT=name)
	$(call run,wotempo doctor experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

plan-data: setup ## what the run needs on disk: which archives and files, what is here, what is missing, bytes (EXPERIMENT=name)
	$(call run,wotempo plan-data experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

estimate: setup ## what a run will need, measured: it/s, memory, hours, requeues, cost; for GPUs on a machine without one, forecast; refuses what cannot fit (EXPERIMENT=name)
	$(call run,wotempo estimate experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

train-convgru-1epoch: setup ## one epoch of WoTE with four ConvGRU-fused frames, judged by named criteria
	$(call run,wotempo train experiment=convgru_1epoch $(CHOICES) $(ARGS))

train-baseline: setup ## one epoch of single-frame WoTE
	$(call run,wotempo train experiment=baseline_1epoch $(CHOICES) $(ARGS))

compare: setup ## the latest ConvGRU epoch against the latest baseline epoch, or RUNS="folder folder …" of runs or sweeps
	$(call run,wotempo compare $(RUNS) $(ARGS))

leaderboard: setup ## every run below runs/, or RUNS="folder …": verdict, score with intervals, cost; failures shown
	$(call run,wotempo leaderboard $(RUNS) $(ARGS))

report: setup ## RUN=folder: one HTML file that needs no network: verdict, curves, scenes, scores (docs/report.md)
	@test -n "$(RUN)" || { echo 'say which run: make report RUN=runs/...'; exit 2; }
	$(call run,wotempo report "$(RUN)" $(ARGS))

wandb-sync: setup ## upload what ran offline below runs/, or RUN=folder; ARGS=dry_run=true says what (docs/wandb.md)
	$(call run,wotempo wandb-sync $(if $(RUN),"$(RUN)") $(RUNS) $(ARGS))

train-convgru-5epoch: setup ## five epochs, judged more strictly: the validation run, after one epoch was accepted
	$(call run,wotempo train experiment=convgru_5epoch $(CHOICES) $(ARGS))

train-convgru-20epoch: setup ## twenty epochs: the full run
	$(call run,wotempo train experiment=convgru_20epoch $(CHOICES) $(ARGS))

overfit-batch: setup ## drive the loss of one batch down: the quickest check that learning works
	$(call run,wotempo train experiment=overfit_batch $(CHOICES) $(ARGS))

resume: setup ## continue the latest interrupted run, or RUN=folder; ARGS=trainer.max_epochs=5 extends a finished one (docs/resume.md)
	$(call run,wotempo resume $(if $(RUN),"$(RUN)") $(ARGS))

ablation-fusion: setup ## does history help: variants × three seeds, one table with intervals; finished runs are kept
	$(call run,wotempo train --multirun experiment=$(ABLATION) ablation=fusion $(CHOICES) $(ARGS))

# The machine profile says which trainer, and the run is a full one, unless you say otherwise.
SLURM_CHOICES = data=$(DATA) model=$(MODEL) $(foreach v,TRAINER PROFILE,$(if $(filter file,$(origin $(v))),,$(shell echo $(v) | tr A-Z a-z)=$($(v))))
search: setup ## Optuna over configs/search/learning.yaml: ask, train, tell; goes on where it stopped (ARGS="search=… trials=20")
	$(call run,wotempo search run experiment=$(EXPERIMENT) $(CHOICES) $(ARGS))

slurm-convgru-1epoch: setup ## submit that run to Slurm by a machine profile; ARGS=dry_run=true prints the job (docs/slurm.md)
	$(call run,wotempo slurm experiment=convgru_1epoch $(SLURM_CHOICES) $(ARGS))

slurm-baseline: setup ## submit the single-frame run to Slurm
	$(call run,wotempo slurm experiment=baseline_1epoch $(SLURM_CHOICES) $(ARGS))

slurm-ablation-fusion: setup ## every run of ablation-fusion as a Slurm job of its own
	$(call run,wotempo slurm --multirun experiment=$(ABLATION) ablation=fusion $(SLURM_CHOICES) $(ARGS))

evaluate: setup ## score the test split: CKPT=path a checkpoint, ARGS="plans=file" a file of plans, neither: baselines
	$(call run,wotempo evaluate $(if $(CKPT),"checkpoint='$(CKPT)'") data=$(DATA) $(ARGS))

drive: setup ## CKPT=path: replay the test split frame by frame, as a car sees it, beside the windowed evaluation
	@test -n "$(CKPT)" || { echo 'say which checkpoint: make drive CKPT=runs/.../checkpoints/last.ckpt'; exit 2; }
	$(call run,wotempo drive "checkpoint='$(CKPT)'" data=$(DATA) $(ARGS))

replay: setup ## RUN=folder: do the step again that ended a run, from its failure/ folder alone
	@test -n "$(RUN)" || { echo 'say which run: make replay RUN=runs/...'; exit 2; }
	$(call run,wotempo replay "run='$(RUN)'" $(ARGS))

labels: setup ## PDM scores of all anchors at all scenes of DATA (docs/labels.md); training finds them
	$(call run,wotempo labels data=$(DATA) preset=$(MODEL) $(ARGS))

convert: setup ## WHAT=weights|labels ARGS="direction=import|export …": WoTE's checkpoints and label file, in and out
	$(call choice,WHAT,conversion,weights labels)
	$(call run,wotempo $(if $(filter labels,$(WHAT)),label-file,weights) $(ARGS))

BENCHES = $(patsubst scripts/bench/bench_%.py,%,$(wildcard scripts/bench/bench_*.py))
bench: setup ## WHAT=wote|pdm|real_drives|streaming|temporal|guards|scale|commands: time and memory beside plain code or goals; ARGS=--quick, where it has it
	$(call choice,WHAT,bench,$(BENCHES))
	PYTHONPATH=tests/helpers $(PY) -m scripts.bench.bench_$(WHAT) $(ARGS)

STUDIES = $(patsubst scripts/studies/%.py,%,$(wildcard scripts/studies/*.py))
study: setup ## NAME=headroom|layout|velocity|stages|twins_bound|twin_picture and RUNS="…", CKPT=path, RUN=folder: what BEV maps and velocities are worth
	$(call choice,NAME,study,$(STUDIES))
	PYTHONPATH=tests/helpers $(PY) scripts/studies/$(NAME).py $(if $(CKPT),"checkpoint='$(CKPT)'" data=$(DATA)) $(if $(RUN),"$(RUN)") $(RUNS) $(ARGS)

test: setup ## all tests
	$(PY) -m pytest $(ARGS)

check: setup ## lint and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy src callbacks

clean: ## remove runs, generated towns and caches (not the environment)
	rm -rf runs workspace .pytest_cache .ruff_cache .mypy_cache .hypothesis
