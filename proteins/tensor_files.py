"""Reading the files that this package writes: tensors, with a header of strings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor


def read_tensors(
    path: str | Path, wanted: str, what: str, mend: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and the header, of a safetensors file.

    Args:
        path: the file.
        wanted: the ``format`` that its header must have.
        what: it holds, for errors.
        mend: how such a file is made, for errors.

    Raises:
        ValueError: names the file: not a safetensors file, or another format.
        OSError: if it cannot be opened.
    """
    Path(path).open("rb").close()  # for the plain OSError
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: expected a file of {what}, but {error}; {mend}") from None
    if header.get("format") != wanted:
        raise ValueError(
            f"{path}: expected the format {wanted!r}, got {header.get('format')!r}; {mend}"
        )
    return tensors, header


def read_json(path: str | Path, header: dict[str, str], key: str, default: Any, mend: str) -> Any:
    """What a header keeps as JSON, or ``default``; raises ``ValueError`` if it is none."""
    if key not in header:
        return default
    try:
        return json.loads(header[key])
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: damaged: its {key} is no JSON, {error}; {mend}") from None
