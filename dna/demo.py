"""The first look: both classes at three strengths of guidance, judged and drawn.

``python -m dna.demo --out FOLDER`` needs no data and no training. It samples with the
bundled generator, judges with the bundled oracle, which was trained on other chromosomes,
and with the motifs of the two transcription factors, and writes sequences, logos, the
frontier of success against realism, and the table.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from seqflow.files import replacing

from .composition import base_counts
from .fasta import write_fasta
from .generation import generate
from .judge import Judge, format_table, load_judge
from .models import DEFAULT_GENERATOR, DEFAULT_ORACLE, Generator, load_generator
from .motif_scan import aligned_hits
from .plots import FrontierPoint, plot_frontier, plot_logos
from .steering import ByPredictions

STRENGTHS = (0.0, 1.0, 3.0)
MOTIF_OF = {"ctcf": "CTCF", "pu1": "PU1"}


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(prog="python -m dna.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder to write")
    parser.add_argument("--num", type=int, default=200, help="sequences a cell (default: 200)")
    parser.add_argument("--steps", type=int, default=40, help="of the sampler (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    options = parser.parse_args()
    started = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    generator, judge = load_generator(DEFAULT_GENERATOR), load_judge(DEFAULT_ORACLE)
    rows: dict[str, dict[str, float]] = {}
    for label in generator.spec.labels:
        rows |= _one_class(generator, judge, label, options)
    _draw_frontier(rows, generator.spec.labels, options.out / "frontier.png")
    table = format_table(rows)
    with replacing(options.out / "table.md") as path:
        path.write_text(table + "\n", encoding="utf-8")
    print(table)  # noqa: T201  # the result
    _say(
        f"\nsuccess: taken for its class by an oracle that never saw the generator's data;\n"
        f"frechet: distance from real sequences (floor: real ones of the same number).\n"
        f"Done in {time.perf_counter() - started:.0f} s; wrote to {options.out}/: "
        + ", ".join(sorted(path.name for path in options.out.iterdir()))
    )


def _one_class(
    generator: Generator, judge: Judge, label: str, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Sequences, logos and rows of the table for one class."""
    rows, logos = {f"real {label}": judge.reference_row(label)}, {}
    motif = next(each for each in judge.motifs if each.name == MOTIF_OF[label])
    for strength in STRENGTHS:
        _say(f"{label}, guidance {strength:g}")
        tokens = generate(
            generator,
            label,
            options.num,
            steering=ByPredictions(strength),
            steps=options.steps,
            seed=options.seed,
            progress=True,
        )
        name = f"{label} guidance {strength:g}"
        headers = [f"{label}-{i} label={label} guidance={strength:g}" for i in range(options.num)]
        write_fasta(options.out / f"{label}_guidance{strength:g}.fasta", tokens, headers)
        rows[name] = judge.row(tokens, label)
        hits = aligned_hits(tokens, motif)
        found = f"{motif.name} in {len(hits)} of {len(tokens)}"
        logos[f"{found}, guidance {strength:g}"] = base_counts(hits)
    plot_logos(options.out / f"{label}_logo.png", logos)
    return rows


def _draw_frontier(rows: dict[str, dict[str, float]], labels: list[str], path: Path) -> None:
    curves = {
        label: [
            FrontierPoint(w, row["success"], row["frechet"])
            for w in STRENGTHS
            for row in [rows[f"{label} guidance {w:g}"]]
        ]
        for label in labels
    }
    real = {label: rows[f"real {label}"] for label in labels}
    # As many real sequences as were made would score the floor.
    floors = {label: rows[f"{label} guidance 1"]["floor"] for label in labels}
    points = {label: (row["success"], floors[label]) for label, row in real.items()}
    plot_frontier(path, curves, references={"real": points})


def _say(message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201  # a message


if __name__ == "__main__":
    main()
