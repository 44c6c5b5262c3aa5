"""Text in, whole files out.

Reading: plain or gzipped text is told apart by its first two bytes, so a wrong suffix does no
harm; a byte-order mark is dropped. Writing: a file is written under a temporary name beside its
destination and renamed when complete, so that a reader never meets half of one.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"


def read_text(path: str | Path) -> str:
    """The whole text of a file, UTF-8, plain or gzipped.

    Raises ``ValueError`` that names the file if its bytes are not text or its gzip stream is
    damaged, ``OSError`` if it cannot be opened.
    """
    data = Path(path).read_bytes()
    try:
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: expected a complete gzip file, but {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: expected text (plain or gzipped), got byte {data[error.start]:#04x} "
            f"at offset {error.start}"
        ) from None
    # Windows' and old Macs' line ends.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_writable(path: str | Path) -> None:
    """Raise ``ValueError`` if a file cannot be made there; to ask before long work.

    ``-``, which stands for stdout, always can.
    """
    if str(path) == "-":
        return
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"cannot write {path}: permission denied")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to; renamed to ``path`` on success, deleted on failure.

    What is no regular file (a pipe, a null device) is written in place. Raises ``ValueError``
    that names ``path`` and the reason if it cannot be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "out.txt"
        >>> with replacing(path) as temporary:
        ...     _ = temporary.write_text("done")
        >>> path.read_text(), len(list(path.parent.iterdir()))
        ('done', 1)
        >>> folder.cleanup()
    """
    path = Path(path)
    check_writable(path)
    if path.exists() and not path.is_file():
        try:
            yield path
        except OSError as error:
            raise ValueError(f"cannot write {path}: {error.strerror or error}") from None
        return
    # A link keeps pointing where it did; the suffix stays last, as writers may read it.
    target = path.resolve()
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield temporary
        # Some writers make private files; a result is as readable as any other file.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
