r"""The table of language models: methods of one network and budget, beside n-grams.

Trains every method with every seed (a folder each under --runs; a finished model is not trained
again, an interrupted one goes on), then measures on the test part, whose groups (authors) are
not in training:

* bits per character, exact for autoregression, an upper bound for the others, from --windows
  windows and --draws times each, with standard errors over windows;
* samples at each number of steps: their bits per character under an autoregressive judge (its
  own row uses the judge of another seed, if there is one), the entropy of their characters, and
  shares of different words. Low bits with low entropy are repetition, not quality.

Rows are kept in a JSON file beside the table, and a later call adds those that are missing, so
that the work can be cut into calls with some --methods, --seeds and --stages.

    python benchmarks/language_table.py --corpus data/novels --runs runs/language \
        --steps 3000 --seeds 0 1 --out docs/results/language.md
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from language_report import Row, check_budget, keep, kept, write

from language.evaluation import Texts, judge, ladder_rows, read_part, split_windows
from language.generation import Decoding, generate
from language.likelihood import bits
from language.models import Generator, load_generator
from language.settings import GeneratorSettings
from language.statistics import text_statistics
from language.training import train_generator
from seqflow.checkpoints import CONFIG
from seqflow.settings import check_settings

METHODS: dict[str, dict[str, Any]] = {
    "autoregressive": {"method": "autoregressive"},
    "masked": {"method": "masked"},
    "uniform": {"method": "uniform"},
    "radial from the mask": {"method": "radial", "path": {"start": 0.0}},
    "radial from the centre": {"method": "radial", "path": {"start": 1.0}},
}
"""The settings of each row, by its name."""
STAGES = ("train", "ladder", "bits", "samples")


def main() -> None:
    """Train, measure and write."""
    options = parse()
    check_budget(options)
    for stage in options.stages:
        RUNNERS[stage](options)
        write(options, METHODS)


def train(options: argparse.Namespace) -> None:
    """Train what is not trained yet."""
    for seed in options.seeds:
        for name in options.methods:
            out = folder(options, name, seed)
            if (out / CONFIG).is_file():
                continue
            started = time.process_time()
            train_generator(settings(options, name, seed), device=options.device)
            seconds = time.process_time() - started
            keep(options, "train", f"{name} {seed}", {"CPU seconds": seconds})


def settings(options: argparse.Namespace, name: str, seed: int) -> GeneratorSettings:
    """What one model is trained with."""
    content = METHODS[name] | {
        "data": {"corpus": options.corpus, "length": options.length},
        "network": {
            "width": options.width,
            "layers": options.layers,
            "heads": options.heads,
            "kernel": options.kernel,
        },
        "training": {
            "steps": options.steps,
            "batch_size": options.batch_size,
            "learning_rate": options.learning_rate,
            "muon_learning_rate": options.muon_learning_rate or None,
            "warmup": 100,
            "ema_decay": options.ema,
            "validate_every": max(1, options.steps // 10),
            "checkpoint_every": 500,
            "seed": seed,
            "precision": options.precision,
        },
        "out": folder(options, name, seed),
    }
    return check_settings(GeneratorSettings, content, where=name)


def measure_ladder(options: argparse.Namespace) -> None:
    """N-grams on the whole part."""
    if "ladder" in kept(options):
        return
    for row in ladder_rows(options.corpus, options.part).items():
        keep(options, "ladder", *row)


def measure_bits(options: argparse.Namespace) -> None:
    """Bits per character of each model."""
    for name, seed in models(options):
        key = f"{name} {seed}"
        if key in kept(options).get("bits", {}):
            continue
        model = load_generator(str(folder(options, name, seed)))
        texts = read_part(options.corpus, options.part, model, num_windows=options.windows)
        cost = bits(
            model,
            texts.windows,
            texts.characters_per_token,
            num_draws=options.draws,
            device=options.device,
        )
        keep(options, "bits", key, {"bits": cost.per_character, "error": cost.standard_error})


def measure_samples(options: argparse.Namespace) -> None:
    """Judge samples of the models of the first seed, and as much real text."""
    if not folder(options, options.judge, options.seeds[0]).exists():
        print(f"no samples are judged: {options.judge} is not trained", file=sys.stderr)
        return
    first = options.seeds[0]
    judging = load_generator(str(folder(options, options.judge, first)))
    texts = read_part(options.corpus, options.part, judging, num_windows=options.num)
    if "real" not in kept(options).get("samples", {}):
        row = judge(judging, texts, device=options.device)
        keep(options, "samples", "real", {"judge": row["bits/character"], **counted(texts.sample)})
    for name, seed in models(options):
        if seed != first:
            continue
        model = load_generator(str(folder(options, name, seed)))
        for steps in options.sampling_steps:
            key = f"{name} {steps}"
            if key in kept(options).get("samples", {}):
                continue
            judge_samples(options, key, model, steps, other_judge(options, name, judging))


def judge_samples(
    options: argparse.Namespace, key: str, model: Generator, steps: int, judging: Generator
) -> None:
    """Draw and judge one set of samples."""
    started = time.process_time()
    found = generate(
        model, options.num, decoding=Decoding(steps), device=options.device, progress=True
    )
    seconds = time.process_time() - started
    windows = split_windows(found, judging)
    tokens = sum(each.numel() for each in windows)
    row = judge(
        judging, Texts(windows, sum(map(len, found)) / tokens, found), device=options.device
    )
    cost = {"judge": row["bits/character"], "CPU s per 1000": 1000 * seconds / options.num}
    keep(options, "samples", key, cost | counted(found))


def other_judge(options: argparse.Namespace, name: str, judging: Generator) -> Generator:
    """The judge of another seed for samples of the judge's own method, if there is one."""
    if name != options.judge:
        return judging
    others = [seed for seed in options.seeds[1:] if folder(options, name, seed).exists()]
    return load_generator(str(folder(options, name, others[0]))) if others else judging


def counted(texts: list[str]) -> Row:
    """What is shown of the statistics."""
    found = text_statistics(texts)
    return {key: found[key] for key in ("entropy", "distinct 1", "distinct 2")}


def models(options: argparse.Namespace) -> list[tuple[str, int]]:
    """The models that are trained."""
    pairs = [(name, seed) for name in options.methods for seed in options.seeds]
    return [pair for pair in pairs if (folder(options, *pair) / CONFIG).is_file()]


def folder(options: argparse.Namespace, name: str, seed: int) -> Path:
    """Where a model lies."""
    return Path(options.runs) / f"{name.replace(' ', '-')}-{options.steps}-seed{seed}"


RUNNERS = dict(zip(STAGES, (train, measure_ladder, measure_bits, measure_samples), strict=True))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--corpus", type=Path, required=True, help="made by seqflow language prepare")
    add("--part", default="test", help="part to measure on")
    add("--runs", type=Path, required=True, help="folder of the models")
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--seeds", nargs="+", type=int, default=[0, 1])
    add("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    add("--steps", type=int, default=3000)
    add("--batch-size", type=int, default=32)
    add("--length", type=int, default=128)
    add("--width", type=int, default=128)
    add("--layers", type=int, default=4)
    add("--heads", type=int, default=4)
    add("--kernel", type=int, default=7, help="of the short convolutions")
    add("--learning-rate", type=float, default=2e-3)
    add("--muon-learning-rate", type=float, default=1e-2, help="0 for AdamW alone")
    add("--ema", type=float, default=0.998)
    add("--precision", default="bf16-mixed", choices=("32-true", "bf16-mixed"))
    add("--windows", type=int, default=1024, help="of the test part, for bits per character")
    add("--draws", type=int, default=16, help="times for each of them")
    add("--num", type=int, default=128, help="samples of each kind")
    add("--sampling-steps", nargs="+", type=int, default=[8, 16, 32, 64, 128])
    add("--judge", default="autoregressive", choices=METHODS)
    add("--device", default="auto")
    add("--title", default="Language models of one budget")
    add("--out", type=Path, required=True, help="Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
