"""Which packages seqflow can use and which extra installs each, as its metadata says."""

from __future__ import annotations

import importlib.metadata
import re
from typing import NamedTuple

_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)(?P<rest>.*)$", re.DOTALL)
_EXTRA = re.compile(r"""extra\s*==\s*['"](?P<extra>[\w-]+)['"]""")
# Import names that are not their distribution's name; `-` and `_` are taken as equal.
_DISTRIBUTIONS = {"Bio": "biopython", "yaml": "pyyaml", "lightning_fabric": "pytorch-lightning"}


class Requirement(NamedTuple):
    """A package seqflow can use."""

    name: str
    extra: str | None
    """The extra that installs it; ``None`` if seqflow does not work without it."""

    @property
    def version(self) -> str | None:
        """The version installed here, if any."""
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"pip install 'seqflow{f'[{self.extra}]' if self.extra else ''}'"


def requirements() -> list[Requirement]:
    """All direct requirements, the indispensable ones first; one row an extra."""
    found = [_read(line) for line in importlib.metadata.requires("seqflow") or ()]
    direct = {one for one in found if one.name != "seqflow"}  # `all` includes seqflow[dna]
    return sorted(direct, key=lambda one: (one.extra or "", one.name))


def how_to_install(module: str | None) -> str | None:
    """The mend for a missing ``module``, or ``None`` if it is not one of ours to install."""
    if not module:
        return None
    top = module.partition(".")[0]
    distribution = _normal(_DISTRIBUTIONS.get(top, top))
    wanted = (one for one in requirements() if _normal(one.name) == distribution)
    first = next(wanted, None)
    return f"install it with: {first.command}" if first else None


def _read(line: str) -> Requirement:
    """Read one line of the metadata, such as ``numpy<2.4; extra == "geometry"``."""
    match = _REQUIREMENT.match(line)
    assert match is not None  # the metadata is our own
    extra = _EXTRA.search(match["rest"])
    return Requirement(match["name"], extra["extra"] if extra else None)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
