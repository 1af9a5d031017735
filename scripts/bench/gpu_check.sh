#!/bin/bash
# Tries wotempo on a GPU, in at most eight minutes: same results as the CPU, precisions, memory, speed (docs/gpu.md).
# Needs a Python with torch, lightning, timm, torchmetrics: PYTHON=<path> scripts/bench/gpu_check.sh [--out FILE]
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
export PYTHONPATH="$root/src:$root:$root/tests/helpers${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" "$root/scripts/bench/gpu_check.py" "$@"
