"""Find what would stop a run before it is started: software, GPU, data, labels, maps, disk.

Takes every key of the run that it examines. Exit code 0 if nothing would stop it, 1 if something fails.
"""

from __future__ import annotations

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.doctor.dataset import dataset_findings
from wotempo.doctor.environment import environment
from wotempo.doctor.finding import table
from wotempo.preparation.progress import PreparationProgress
from wotempo.report.terminal import console


def work(raw: DictConfig) -> int:
    config = check_config(raw)
    findings = list(environment(config))
    with PreparationProgress(config.trainer.progress_bar) as progress:
        findings += dataset_findings(config, progress)
    console(width=150).print(table(findings))
    failed = [finding.check for finding in findings if finding.status == "fail"]
    print(f"{len(failed)} checks failed: {', '.join(failed)}" if failed else "nothing would stop this run")
    return 1 if failed else 0


if __name__ == "__main__":
    run("doctor", RunConfig, check_config, work)
