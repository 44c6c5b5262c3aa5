"""The rows of `language_table.py` in a JSON file, and the Markdown that is made of them."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import statistics
import sys
from collections.abc import Iterable
from typing import Any

from language.corpus import load_corpus
from seqflow.files import replacing

TRAINING = ("batch_size", "learning_rate", "muon_learning_rate", "ema", "precision")
NETWORK = ("width", "layers", "heads", "kernel")
BUDGET = ("steps", "length", "windows", "draws", "num", *TRAINING, *NETWORK)
"""Options that all rows of a table share."""

Row = dict[str, Any]
Rows = dict[str, dict[str, Row]]


def check_budget(options: argparse.Namespace) -> None:
    """Stop where the rows that are there have another budget."""
    budget = {key: getattr(options, key) for key in BUDGET}
    there = kept(options).get("budget", {}).get("all", budget)
    other = [
        f"{key} {there.get(key)}, not {own}"
        for key, own in budget.items()
        if there.get(key) != own
    ]
    if other:
        sys.exit(f"the rows in {options.out.with_suffix('.json')} have {', '.join(other)}")
    keep(options, "budget", "all", budget)


def kept(options: argparse.Namespace) -> Rows:
    """The rows so far."""
    path = options.out.with_suffix(".json")
    found: Rows = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(options: argparse.Namespace, section: str, key: str, row: Row) -> None:
    """Add a row to those that are there now; another call may have added some."""
    rows = kept(options)
    rows.setdefault(section, {})[key] = row
    with replacing(options.out.with_suffix(".json")) as path:
        path.write_text(json.dumps(rows, indent=1))
    print(section, key, row, file=sys.stderr)


def write(options: argparse.Namespace, names: Iterable[str]) -> None:
    """The tables so far."""
    rows, corpus = kept(options), load_corpus(options.corpus)
    command = shlex.join(["python", "benchmarks/language_table.py", *map(short, sys.argv[1:])])
    size = corpus.parts[options.part].characters
    lines = [
        f"# {options.title}",
        "",
        f"Trained on {corpus.parts['train'].characters:,} characters "
        f"({len(corpus.parts['train'].groups)} groups); test: {size:,} characters of "
        f"{', '.join(corpus.parts[options.part].groups[:8])}, of which {options.windows} windows "
        f"of {options.length} tokens. Transformer of {options.layers} layers, width "
        f"{options.width} and kernel {options.kernel}; {options.steps} steps of "
        f"{options.batch_size} x {options.length} tokens by {optimiser(options)}; "
        f"seeds {' '.join(map(str, options.seeds))}.",
        "",
        *bits_table(rows, options, names),
        *samples_table(rows, options, names),
        "```",
        command,
        "```",
        "",
    ]
    with replacing(options.out) as path:
        path.write_text("\n".join(lines), encoding="utf-8")


def optimiser(options: argparse.Namespace) -> str:
    """What moved the weights."""
    adamw = f"AdamW (rate {options.learning_rate:g})"
    muon = f"Muon (rate {options.muon_learning_rate:g})"
    return f"{muon} and {adamw}" if options.muon_learning_rate else adamw


def bits_table(rows: Rows, options: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Bits per character of methods and n-grams."""
    lines = ["| | bits per character | s.e. over windows | seeds | range of seeds |"]
    lines += ["|---" * 5 + "|"]
    for name in names:
        found = [rows.get("bits", {}).get(f"{name} {seed}") for seed in options.seeds]
        own = [row for row in found if row]
        if not own:
            continue
        values = [row["bits"] for row in own]
        error = math.sqrt(statistics.fmean(row["error"] ** 2 for row in own))
        spread = f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else ""
        kind = "" if name == "autoregressive" else "<= "
        mean = statistics.fmean(values)
        lines.append(f"| {name} | {kind}{mean:.3f} | {error:.3f} | {len(own)} | {spread} |")
    for name, row in rows.get("ladder", {}).items():
        lines.append(f"| {name} | {row['bits/character']:.3f} | | | |")
    return [*lines, ""]


def samples_table(rows: Rows, options: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """The judge's bits per character of samples, by steps, and what they consist of."""
    samples = rows.get("samples", {})
    if "real" not in samples:
        return []
    real = samples["real"]
    lines = [
        f"{options.num} samples of {options.length} tokens, seed 0; each cell: bits per character "
        f"under {options.judge}, then the entropy of characters and the share of different "
        f"words. Real text of the test part: {cell(real)}.",
        "",
        "| steps | " + " | ".join(map(str, options.sampling_steps)) + " |",
        "|---" * (len(options.sampling_steps) + 1) + "|",
    ]
    for name in names:
        own = [samples.get(f"{name} {steps}") for steps in options.sampling_steps]
        if any(own):
            lines.append(
                f"| {name} | " + " | ".join(cell(row) if row else "" for row in own) + " |"
            )
    return [*lines, ""]


def cell(row: Row) -> str:
    """One set of samples in short."""
    return f"{row['judge']:.2f} ({row['entropy']:.2f}, {row['distinct 1']:.2f})"


def short(word: str) -> str:
    """A word of the command line with file names instead of paths."""
    return os.path.basename(word) if word.startswith(("/", "..")) else word
