"""``seqflow points``: train, sample, evaluate. Imports torch only when a verb runs."""

from __future__ import annotations

import argparse
from pathlib import Path

KINDS = ("sphere", "torus", "so3", "hyperbolic", "mesh")
SOLVERS = ("euler", "midpoint", "rk4", "adaptive")

_TRAIN = """\
examples:
  seqflow points train configs/points/earth.yaml data.path=volcano.csv out=runs/volcano
  seqflow points train quakes.csv training.steps=2000 out=runs/quakes --manifold sphere
  seqflow points train angles.csv data.space.dim=3 out=runs/angles --manifold torus
  seqflow points train spots.csv data.space.path=bunny.off out=runs/spots --manifold mesh

A table needs the columns of its manifold first, or data.columns=[lat,lon] (names or places):
sphere latitude, longitude in degrees; torus angles in degrees (data.space.degrees=false:
radians); so3 quaternions w,x,y,z (data.space.form=rotation_vector: x,y,z); hyperbolic
coordinates in the Poincare ball (data.space.form=lorentz); mesh x,y,z.

Interrupted? Run the same command again: training goes on where it stopped, bit for bit.
"""
_SAMPLE = """\
examples:
  seqflow points sample --model runs/volcano --num 1000 --seed 0 --out new.csv
  seqflow points sample --model runs/volcano --steps 20 --solver rk4        to stdout
  seqflow points sample --model runs/volcano --solver adaptive              as exact as evaluate

The solver adaptive chooses its steps by error control; --steps does not matter then. For the
way back, from data to noise, see: seqflow points evaluate --latent.

The same seed gives the same points, whatever the batch size. Columns and units are those of
the training data: latitude and longitude in degrees on the globe.
"""
_EVALUATE = """\
examples:
  seqflow points evaluate volcano.csv --model runs/volcano
  seqflow points evaluate other.csv --model runs/volcano --all --picture globe.png
  seqflow points evaluate volcano.csv --model runs/volcano --all --latent latent.csv
  seqflow points evaluate new.csv --reference volcano.csv --manifold sphere

With --model: the exact likelihood of the points that training kept for the test (the same
file, split and duplicates rule again; --all takes every point), in nats, per steradian or per
radian, and the distance of new samples from them. --latent solves the flow backwards and
writes a row for each of the points, its numbers and then those of the noise it comes from. With
--reference: the distance of one file's points from another's.
"""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this front end; see `seqflow.cli` for the contract."""
    parser.description = "Points on a manifold: learn their density, draw more, judge them."
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_train(verbs.add_parser("train", help="train a flow", epilog=_TRAIN))
    _add_sample(verbs.add_parser("sample", help="draw points", epilog=_SAMPLE))
    _add_evaluate(verbs.add_parser("evaluate", help="judge a model or points", epilog=_EVALUATE))


def _add_train(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("config", type=Path, metavar="CONFIG.yaml|DATA", help="what to train, or a table")
    add("overrides", nargs="*", metavar="key=value", help="replace a setting, as in out=runs/mine")
    add("--manifold", choices=KINDS, help="of a table that is given instead of a configuration")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    verb.set_defaults(handler=run_train)


def _add_sample(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("--model", required=True, help="folder of a model")
    add("--num", type=int, default=100, help="how many points (default: 100)")
    add("--steps", type=int, default=50, help="of the solver (default: 50)")
    add("--solver", choices=SOLVERS, help="(default: the method's own step)")
    add("--seed", type=int, default=0, help="(default: 0)")
    add("--batch-size", type=int, default=1024, help="points at once (default: 1024)")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    add("--out", default="-", help="CSV file (default: stdout)")
    verb.set_defaults(handler=run_sample)


def _add_evaluate(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("points", type=Path, metavar="FILE", help="CSV or TSV")
    add("overrides", nargs="*", metavar="key=value", help="of tables, as in data.space.dim=3")
    add("--model", help="folder of a model")
    add("--reference", type=Path, help="compare FILE with the points of this table instead")
    add("--manifold", choices=KINDS, help="of both tables, with --reference")
    add("--all", action="store_true", help="judge by all points, not by the test split alone")
    add("--num", type=int, default=1000, help="samples to compare (default: 1000)")
    add("--seed", type=int, default=0, help="(default: 0)")
    add("--latent", type=Path, metavar="CSV", help="write each point and the noise it comes from")
    add("--picture", type=Path, help="draw samples beside data over the density")
    add("--out", type=Path, help="CSV file of the numbers (default: Markdown to stdout)")
    verb.set_defaults(handler=run_evaluate)


def run_train(options: argparse.Namespace) -> None:
    """Train a flow."""
    from ..settings import load_settings
    from .settings import PointSettings, settings_of_table
    from .training import train_points

    if options.manifold:
        settings = settings_of_table(options.config, options.manifold, options.overrides)
    elif options.config.suffix in {".yaml", ".yml"}:
        settings = load_settings(PointSettings, options.config, options.overrides)
    else:
        raise ValueError(
            f"expected a .yaml file, or a table with --manifold {'|'.join(KINDS)}, "
            f"got {options.config}"
        )
    train_points(settings, device=options.device)
    _say(f"wrote {settings.out}; try: seqflow points sample --model {settings.out}")


def run_sample(options: argparse.Namespace) -> None:
    """Draw points."""
    from ..files import check_writable
    from .generation import generate
    from .models import load_model
    from .tables import format_table, write_table

    check_writable(options.out)
    model = load_model(options.model)
    points = generate(
        model,
        options.num,
        steps=options.steps,
        solver=options.solver,
        seed=options.seed,
        batch_size=options.batch_size,
        device=options.device,
        progress=True,
    )
    numbers = model.spec.space.to_numbers(points)
    if options.out == "-":
        print(format_table(model.spec.space.names, numbers), end="")  # noqa: T201  # the result
    else:
        write_table(options.out, model.spec.space.names, numbers)
        _say(f"wrote {options.num} points to {options.out}")


def run_evaluate(options: argparse.Namespace) -> None:
    """Judge a model by points, or points by others."""
    from ..files import check_writable, replacing
    from .evaluation import format_csv, format_row, judge_model, judge_points

    for path in (options.out, options.picture, options.latent):
        if path:
            check_writable(path)
    if (options.model is None) == (options.reference is None):
        raise ValueError("give --model, or --reference FILE with --manifold")
    if options.latent and not options.model:
        raise ValueError("--latent takes points back along the flow of a model: give --model")
    if options.model:
        row = judge_model(
            options.model,
            options.points,
            every=options.all,
            num=options.num,
            seed=options.seed,
            picture=options.picture,
            latent=options.latent,
        )
    else:
        row = judge_points(
            options.points,
            options.reference,
            options.manifold,
            options.overrides,
            picture=options.picture,
        )
    if options.out:
        with replacing(options.out) as path:
            path.write_text(format_csv(row), encoding="utf-8")
    else:
        print(format_row(row))  # noqa: T201  # the result
    for path in (options.out, options.picture, options.latent):
        if path:
            _say(f"wrote {path}")


def _say(message: str) -> None:
    import sys

    print(message, file=sys.stderr)  # noqa: T201  # a message
