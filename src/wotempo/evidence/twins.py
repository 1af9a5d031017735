"""The measures of a module in the twin scenes of validation, for the criterion ``history_pays``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from wotempo.batch import Batch
from wotempo.config.schema import RunConfig
from wotempo.data.collate import WindowCollator
from wotempo.data.module import NavsimDataModule
from wotempo.datasets import dataset_of
from wotempo.evaluation.twins.watch import TwinWatch
from wotempo.preparation.prepare import Prepared
from wotempo.preparation.progress import PreparationProgress


def in_twins(config: RunConfig, prepared: Prepared, data: NavsimDataModule, module: Any) -> dict[str, Any] | None:
    """See ``callbacks.base.protocol.Evidence.twins``. The modes of the module's parts are as they were afterwards."""
    watch = TwinWatch.begin(prepared.paths, "val", prepared.scenes["val"])
    if watch is None:
        return None
    readings, plans = watch.over("model", module), dict[str, np.ndarray]()
    modes = [(member, member.training) for member in module.modules()]
    module.eval()
    for batch in _batches(data, watch.twins.scenes):
        moved = module.transfer_batch_to_device(batch, module.device, 0)
        planned = module.model.plan(moved)
        readings.add(module.model, moved, planned)
        plans |= dict(zip(batch["tokens"], planned["trajectory"].float().cpu().numpy(), strict=True))
    for member, mode in modes:
        member.training = mode
    with PreparationProgress(config.trainer.progress_bar) as progress:
        dataset = dataset_of(config.data, config.workspace)
        return watch.figures(watch.rows(dataset, prepared.paths, {"model": plans}, progress))


def _batches(data: NavsimDataModule, tokens: Collection[str]) -> Iterator[Batch]:
    windows = data.datasets["val"]
    collate, size = WindowCollator(windows), data.batch_size
    places = [place for place, token in enumerate(windows.tokens) if str(token) in tokens]
    for first in range(0, len(places), size):
        yield collate([windows[place] for place in places[first : first + size]])
