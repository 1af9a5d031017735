"""The jobs of a sweep, each with its overrides and its folder, known before the first one starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from wotempo.config.composition import compose_checked, jobs_of, sweep_overrides, swept
from wotempo.errors import UserError

OWN_FOLDER = "${hydra:runtime.output_dir}"  # of run_dir: the folder that Hydra makes for a job
LEFT_OUT = "hydra.job.config.override_dirname.exclude_keys"


@dataclass(frozen=True)
class Asked:
    """One job. ``folder``: below that of the sweep, or a path of its own where run_dir is given."""

    overrides: list[str]
    folder: str

    def for_hydra(self) -> list[str]:
        """Its overrides with the folder, as Hydra's sweeper hands them to a launcher."""
        text = self.folder.replace("\\", "\\\\").replace("'", "\\'")
        own = [word for word in self.overrides if not word.lstrip("+~").startswith(("hydra.", "hydra/"))]
        return [*own, f"hydra.sweep.subdir='{text}'"]  # Hydra adds its own keys to each job by itself


def asked_jobs(config_name: str, overrides: Sequence[str]) -> list[tuple[Asked, DictConfig]]:
    """Every job of a sweep with its configuration. UserError where two of them want one folder, so that the second
    would never run."""
    every = [*sweep_overrides(config_name, list(overrides)), *overrides]
    naming = _with_names(config_name, swept(every))
    found: list[tuple[Asked, DictConfig]] = []
    of_folder: dict[str, list[str]] = {}
    for number, job in enumerate(jobs_of(every)):
        config = compose_checked(config_name, [*naming, *job], with_hydra=True)
        folder = _folder(config, number)
        if folder in of_folder:
            apart = [text for text in job if text not in of_folder[folder]] or job
            raise UserError(
                f"two jobs of this sweep want the folder {folder}: the second differs in {' '.join(apart)}; name each "
                "value once, and leave run_dir and hydra.sweep.subdir out, or let them name what is varied"
            )
        of_folder[folder] = job
        with open_dict(config):
            del config["hydra"]
        found.append((Asked(job, folder), config))
    return found


def _with_names(config_name: str, varied: Sequence[str]) -> list[str]:
    """What lets the name of a folder hold all keys that are varied, also those that are left out of it otherwise."""
    left_out = compose_checked(config_name, [], with_hydra=True).hydra.job.config.override_dirname.exclude_keys
    kept = [key for key in left_out if key == "seed" or key not in varied]
    return [] if len(kept) == len(left_out) else [f"{LEFT_OUT}=[{','.join(kept)}]"]


def _folder(config: DictConfig, number: int) -> str:
    raw: Any = OmegaConf.to_container(config, resolve=False)
    try:
        if raw.get("run_dir", OWN_FOLDER) != OWN_FOLDER:
            return str(config.run_dir)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.job.num, config.hydra.job.id = number, str(number)
        return str(config.hydra.sweep.subdir)
    except OmegaConfBaseException as error:
        raise UserError(f"the folder of a job cannot be named: {str(error).splitlines()[0]}") from None
