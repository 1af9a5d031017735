"""A procedural town that writes the NAVSIM on-disk format: streets, traffic, an expert ego, rendered sensors."""

from wotempo.city.dataset.build import build_city
from wotempo.city.dataset.config import PRESETS, CityConfig, SplitSize, city_config
from wotempo.city.dataset.futures import simulate_futures

__all__ = ["PRESETS", "CityConfig", "SplitSize", "build_city", "city_config", "simulate_futures"]
