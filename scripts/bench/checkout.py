"""The folder configs/ of this checkout as ``wotempo.configs``, where the project is not installed: import it first."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "configs"

if importlib.util.find_spec("wotempo.configs") is None:
    spec = importlib.util.spec_from_file_location(
        "wotempo.configs", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
