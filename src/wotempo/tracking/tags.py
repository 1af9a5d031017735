"""Job type, tags and variant of a run in wandb, by which it is found again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from callbacks.base.markdown import one_line
from wotempo.config.schema import RunConfig
from wotempo.records.forms import NONE, Whole, misfit
from wotempo.records.reading import read_mapping, spared

LONGEST, LONGEST_TAG = 128, 64  # characters that wandb takes


def _hydra(run_dir: Path) -> DictConfig | None:
    """How Hydra started the run: of this process, or, in a continued run, what its first attempt left."""
    if HydraConfig.initialized():
        return cast(DictConfig, HydraConfig.get())
    notes: list[str] = []
    hydra = spared(run_dir / ".hydra" / "hydra.yaml", _settings, None, notes)
    for note in notes:  # only job type and tags are lost
        print(note, flush=True)
    return hydra


def _settings(file: Path) -> DictConfig:
    """Those that are asked for, as far as they are there. ValueError where they are of another form."""
    written = read_mapping(file)
    if sentence := misfit(written, HYDRA):
        raise ValueError(sentence)
    return cast(DictConfig, OmegaConf.create(written["hydra"]))


HYDRA = Whole(hydra={"mode": (str, NONE), "runtime": {"choices": {str: (str, NONE)}}})


def job_type_of(run_dir: Path) -> str:
    """``ablation`` for a job of a sweep, else ``train``."""
    hydra = _hydra(run_dir)
    return "ablation" if hydra is not None and str(hydra.get("mode")).endswith("MULTIRUN") else "train"


def variant_of(config: RunConfig, run_dir: Path) -> str:
    """Its name in configs/variant; of a run without one, the fusion stage and its control."""
    hydra = _hydra(run_dir)
    chosen = None if hydra is None else OmegaConf.select(hydra, "runtime.choices.variant")
    fusion: dict[str, Any] = config.fusion
    return str(chosen or " ".join(str(fusion[key]) for key in ("name", "control") if fusion.get(key)))


def tags_of(config: RunConfig, run_dir: Path) -> list[str]:
    """Data, stage and layout as they are called, variant and seed with their key, and those of ``tracking.tags``."""
    own = [config.data.kind, str(config.fusion["name"]), config.model.mode]
    own += [f"variant={variant_of(config, run_dir)}", f"seed={config.seed}"]
    return labels([*own, *config.tracking.tags])


def label(text: object, longest: int = LONGEST) -> str:
    """A name, a group or a tag as wandb takes it: one line, not too long, not empty."""
    return one_line(text)[:longest].strip() or "unnamed"


def labels(texts: Iterable[object]) -> list[str]:
    """Tags, each once."""
    return list(dict.fromkeys(label(text, LONGEST_TAG) for text in texts))
