"""WoTE with pluggable temporal BEV fusion on NAVSIM-format data."""

__version__ = "0.1.0"
