#!/bin/bash
# Submits a run from any folder: <checkout>/scripts/slurm.sh experiment=convgru_1epoch [machine.partition=gpu --dry-run …] (docs/slurm.md)
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-.venv/bin/python}" -m wotempo slurm "$@"
