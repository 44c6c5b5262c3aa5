"""Training state on disk without pickle: safetensors for tensors, JSON for the rest.

A Lightning checkpoint is a nested structure of dicts, lists, tensors and plain values. Here
its tensors go into one safetensors file, under their number; the structure around them is
JSON in that file's metadata. Dictionaries become lists of pairs, because the optimiser's
keys are integers, which JSON would turn into text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .files import replacing


def flatten(value: Any, tensors: list[Tensor]) -> Any:
    """The JSON form of ``value``; its tensors are appended to ``tensors``.

    Raises:
        ValueError: for a value that is neither a container, a tensor nor plain.

    Example:
        >>> flatten({0: [True, None]}, [])
        {'dict': [[0, {'list': [True, None]}]]}
    """
    if isinstance(value, Tensor):
        tensors.append(value.detach().cpu().clone().contiguous())
        return {"tensor": len(tensors) - 1}
    if isinstance(value, dict):
        return {"dict": [[key, flatten(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [flatten(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"expected plain values and tensors in a checkpoint, got {value!r}")


def unflatten(value: Any, tensors: list[Tensor]) -> Any:
    """The inverse of :func:`flatten`."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: unflatten(item, tensors) for key, item in content}
    items = [unflatten(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items


class SafetensorsIO(CheckpointIO):
    """Lets Lightning save and load its training state as safetensors."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write to a temporary file first, so that a crash leaves the previous state."""
        del storage_options
        tensors: list[Tensor] = []
        structure = json.dumps(flatten(checkpoint, tensors))
        named = {str(number): tensor for number, tensor in enumerate(tensors)}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file(named, temporary, metadata={"structure": structure})

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read it back; raises ``ValueError`` if the file is not such a state."""
        del map_location, weights_only  # plain CPU tensors; Lightning moves them
        try:
            with safe_open(path, framework="pt") as file:
                structure = json.loads((file.metadata() or {})["structure"])
                tensors = [file.get_tensor(str(n)) for n in range(len(file.keys()))]
        except (SafetensorError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(
                f"expected a training state in {path}, but it cannot be read ({error}); "
                "delete it to train from the start"
            ) from None
        checkpoint: dict[str, Any] = unflatten(structure, tensors)
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete the file."""
        Path(path).unlink(missing_ok=True)
