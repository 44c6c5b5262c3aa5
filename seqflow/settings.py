"""Typed settings from a YAML file and ``key=value`` words of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=BaseModel)


def load_settings(schema: type[S], path: Path, overrides: Sequence[str] = ()) -> S:
    """Settings from a file, some of them replaced.

    Args:
        schema: what the file must hold.
        path: a YAML file.
        overrides: words such as ``training.steps=100``; the value is YAML too.

    Raises:
        ValueError: for a file that cannot be read or is not YAML, a word without ``=``, and
            every key that is unknown or has a value of the wrong kind.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ValueError(f"cannot read the settings {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected keys and values in {path}, got {type(content).__name__}")
    return check_settings(schema, override_settings(content, overrides), where=str(path))


def override_settings(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """``content`` with some values replaced by words ``key=value``, in place.

    Raises:
        ValueError: a word without ``=``, or whose value is not YAML.
    """
    for word in overrides:
        _override(content, word)
    return content


def check_settings(schema: type[S], content: dict[str, Any], *, where: str) -> S:
    """``content`` as settings; raises ``ValueError`` that names every fault in one line."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(map(_tell, error.errors()))
        raise ValueError(f"{where}: {faults}") from None


def _tell(fault: Mapping[str, Any]) -> str:
    """Which key, if it is one alone, and what is wrong with it."""
    message: str = fault["msg"].removeprefix("Value error, ")
    return ": ".join([".".join(map(str, fault["loc"])), message] if fault["loc"] else [message])


def starting_from(defaults: Mapping[str, Any]) -> BeforeValidator:
    """For a section of which keys that are left out have defaults of its own.

    Example:
        >>> from typing import Annotated
        >>> class Size(Settings):
        ...     width: int = 1
        ...     depth: int = 1
        >>> class Network(Settings):
        ...     size: Annotated[Size, starting_from({"depth": 7})] = Size(depth=7)
        >>> Network(size={"width": 3}).size
        Size(width=3, depth=7)
    """

    def complete(given: Any) -> Any:
        return {**defaults, **given} if isinstance(given, Mapping) else given

    return BeforeValidator(complete)


def complete_parameters(
    schema: type[S],
    given: S | None,
    method: str,
    defaults: Mapping[str, Mapping[str, Any]],
) -> S | None:
    """The parameters ``path`` of a method, those not given at their defaults; None without any.

    Args:
        schema: of the parameters of all methods; None stands for one that is not given.
        given: some of them.
        method: which method they are for.
        defaults: the parameters of each method that has any.

    Raises:
        ValueError: for a parameter that the method does not have.
    """
    words, own = given.model_dump(exclude_none=True) if given else {}, defaults.get(method, {})
    for key in words:
        if key not in own:
            raise ValueError(f"the method {method} has no {key}; leave out path.{key}")
    return schema(**{**own, **words}) if own else None


def _override(content: dict[str, Any], word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"expected key=value, got {word!r}, as in training.steps=100")
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise ValueError(f"cannot set {key}: {parent} holds a value, not keys")
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"the value of {key} is not YAML: {value!r}") from None
