"""A machine profile: what a job may use, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class MachineConfig:
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gpus: int = 1
    cpus: int = 8
    memory_gb: int = 64
    ceiling_gb: float = 40.0
    hours: float = 3.0
    batch_size: int = 8
    price_per_gpu_hour: float | None = None
    setup: list[str] = field(default_factory=list)
