"""A model on disk: a folder with ``config.yaml`` and ``model.safetensors``.

The configuration says what the weights are: format version, domain, kind, and all that is
needed to build the network again. Nothing is pickled. Bundled models lie in the ``bundled``
folder of their domain's package and are found by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .files import replacing

FORMAT = 1
CONFIG, WEIGHTS = "config.yaml", "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a folder.

    Attributes:
        folder: where from.
        config: the configuration, without its header.
        weights: tensors by name.
    """

    folder: Path
    config: dict[str, Any]
    weights: dict[str, Tensor]

    def load_into(self, model: nn.Module) -> nn.Module:
        """The model with these weights, for evaluation; ``ValueError`` if they do not fit."""
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise ValueError(
                f"the weights in {self.folder / WEIGHTS} do not fit {CONFIG} beside them: {reason}"
            ) from None
        return model.eval()


def save_checkpoint(
    folder: Path, *, domain: str, kind: str, config: Mapping[str, Any], model: nn.Module
) -> None:
    """Write a model, or replace the one in the same folder.

    Raises:
        ValueError: if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write the model to {folder}: {error.strerror}") from None
    header = {"format": FORMAT, "domain": domain, "kind": kind}
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(folder / WEIGHTS) as path:
        save_file(weights, path)
    # Last, because a folder without it is no model.
    with replacing(folder / CONFIG) as path:
        path.write_text(yaml.safe_dump(header | dict(config), sort_keys=False), encoding="utf-8")


def load_checkpoint(folder: Path, *, domain: str, kind: str) -> Checkpoint:
    """Read a model's configuration and weights.

    Raises:
        ValueError: for a missing or damaged file, another domain, kind or format.
    """
    config = _read_config(folder / CONFIG)
    for key, expected in (("format", FORMAT), ("domain", domain), ("kind", kind)):
        found = config.pop(key, None)
        if found != expected:
            raise ValueError(
                f"expected {key} {expected!r} in {folder / CONFIG}, got {found!r}; "
                f"is this a {domain} {kind} made by this version?"
            )
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ValueError(f"missing weights: there is no {weights}")
    try:
        return Checkpoint(folder, config, load_file(weights))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"damaged weights: {weights} cannot be read ({error})") from None


def find_checkpoint(name: str, *, package: str) -> Path:
    """The folder of a model, given its path or the name of one bundled with ``package``.

    Raises:
        ValueError: if there is neither; names the bundled ones.
    """
    path = Path(name)
    if (path / CONFIG).is_file():
        return path
    bundled = bundled_checkpoints(package)
    if name in bundled:
        return bundled[name]
    raise ValueError(
        f"no model {name!r}: it is neither a folder with a {CONFIG} nor a bundled model; "
        f"bundled with {package}: {', '.join(bundled) or 'none'}"
    )


def bundled_checkpoints(package: str) -> dict[str, Path]:
    """Folders of the models that come with ``package``, by name."""
    root = Path(str(files(package) / "bundled"))
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CONFIG}"))}


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"no model in {path.parent}: there is no {path.name}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"damaged configuration: {path} is not YAML ({reason})") from None
    if not isinstance(config, dict):
        raise ValueError(f"damaged configuration: expected a mapping in {path}")
    return config
