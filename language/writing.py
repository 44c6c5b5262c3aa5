"""Samples on disk, by suffix: plain text, JSON lines, or a sheet to look at.

==============================  =========================================================
``.jsonl``, ``.jsonl.gz``       ``{"text": ..., "seed": ..., "index": ...}``, one a line
``.md``, ``.html``              a sheet: how they were made, and each sample
anything else, and ``-``        the texts, a line break behind each
==============================  =========================================================
"""

from __future__ import annotations

import gzip
import html
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqflow.files import replacing

_STYLE = (
    "body{font:16px/1.5 Georgia,serif;max-width:44em;margin:2em auto;padding:0 1em}"
    "dl{display:grid;grid-template-columns:max-content auto;gap:0 1em;font-size:14px}"
    "dd{margin:0}li{margin:1em 0;white-space:pre-wrap}mark{background:#f3e7b3}"
)


def write_samples(path: str, texts: Sequence[str], description: Mapping[str, Any]) -> None:
    """Write texts in the format of the suffix, whole or not at all; ``-`` is stdout.

    Args:
        path: where to.
        texts: the samples.
        description: how they were made: model, seed, prompt.
    """
    if path == "-":
        sys.stdout.write(plain(texts))
        return
    suffixes = Path(path).suffixes
    if ".jsonl" in suffixes:
        content = json_lines(texts, int(description.get("seed", 0)))
    elif suffixes[-1:] == [".md"]:
        content = markdown_sheet(texts, description)
    elif suffixes[-1:] == [".html"]:
        content = html_sheet(texts, description)
    else:
        content = plain(texts)
    data = content.encode("utf-8")
    with replacing(path) as temporary:
        # No time and no name in the header: the same samples are the same file.
        temporary.write_bytes(gzip.compress(data, mtime=0) if suffixes[-1:] == [".gz"] else data)


def plain(texts: Sequence[str]) -> str:
    """The texts, a line break behind each."""
    return "".join(f"{text}\n" for text in texts)


def json_lines(texts: Sequence[str], seed: int) -> str:
    """A record a line."""
    records = ({"text": text, "seed": seed, "index": i} for i, text in enumerate(texts))
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


def markdown_sheet(texts: Sequence[str], description: Mapping[str, Any]) -> str:
    """A sheet in Markdown; texts stand in blocks, so that nothing in them is markup."""
    lines = ["# Samples", ""]
    lines += [f"* {key}: `{value}`" for key, value in description.items()]
    for number, text in enumerate(texts):
        fence = "`" * max(3, _longest_run(text) + 1)
        lines += ["", f"{number}.", "", fence, text, fence]
    return "\n".join(lines) + "\n"


def html_sheet(texts: Sequence[str], description: Mapping[str, Any]) -> str:
    """A page that stands alone; what a prompt gave is marked."""
    facts = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(str(value))}</dd>"
        for key, value in description.items()
    )
    prompt = str(description.get("prompt", ""))
    items = "".join(f"<li>{_marked(text, prompt)}</li>\n" for text in texts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Samples</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>Samples</h1>\n<dl>{facts}</dl>\n"
        f'<ol start="0">\n{items}</ol></body></html>\n'
    )


def _marked(text: str, prompt: str) -> str:
    if not prompt or not text.startswith(prompt):
        return html.escape(text)
    return f"<mark>{html.escape(prompt)}</mark>{html.escape(text[len(prompt) :])}"


def _longest_run(text: str) -> int:
    """The most backticks in a row."""
    return max(
        (len(run) for run in "".join(c if c == "`" else " " for c in text).split()), default=0
    )
