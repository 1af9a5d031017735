"""The fields of a batch as ``wotempo.batch`` describes them."""

from __future__ import annotations

from typing import get_args, get_type_hints

from wotempo.batch import Batch, Field, When


def fields_of(*when: When) -> dict[str, Field]:
    """Name -> description of the fields that a batch has under these conditions; of all fields without any."""
    hints = get_type_hints(Batch, include_extras=True)
    described = {name: next(x for x in get_args(hint) if isinstance(x, Field)) for name, hint in hints.items()}
    return {name: field for name, field in described.items() if not when or field.when in when}
