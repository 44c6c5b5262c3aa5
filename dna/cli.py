"""``seqflow dna``: train, oracle, sample, evaluate. Imports torch only when a verb runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .steering import Steering

COMBINE = ("log", "linear", "kernel")
GUIDE_FORM = ("gradient", "exact")
_TRAIN = """\
examples:
  seqflow dna train configs/dna/ctcf_pu1.yaml data.files.ctcf=ctcf.fa.gz data.files.pu1=pu1.fa.gz
  seqflow dna train configs/dna/splice.yaml data.table.path=junctions.csv training.steps=2000

Interrupted? Run the same command again: training goes on where it stopped, bit for bit.
The folder `out` then holds config.yaml and model.safetensors (the model), training.png (its
curves) and training_state.safetensors (to go on from; delete it when done).
"""
_ORACLE = """\
examples:
  seqflow dna oracle configs/dna/ctcf_pu1_oracle.yaml data.files.ctcf=ctcf.fa.gz ...
  seqflow dna oracle configs/dna/ctcf_pu1_guide.yaml data.files.ctcf=ctcf.fa.gz ...

With `noise: none` it learns to judge finished sequences; with the name of a method, such as
`noise: dirichlet`, to read its noisy states, for `seqflow dna sample --guide`. Train it on
other chromosomes than the generator, or it judges from memory.
"""
_SAMPLE = """\
examples:
  seqflow dna sample --label ctcf --guidance 3 --num 200 --seed 0 --out out.fasta
  seqflow dna sample --label pu1 --guide ctcf-pu1-guide --guidance 3 --out out.fasta
  seqflow dna sample --model runs/dna/ctcf-pu1-uniform --label ctcf --guidance 3 --combine kernel
  seqflow dna sample --num 10                      no class, to stdout
  seqflow dna sample --model runs/dna/splice --label donor --steps 40 --num 5
  seqflow dna sample --label ctcf --template ....CCACCAGGGGGCGC....

Ways to steer, all as strong as --guidance says:
  --combine log            multiplies powers of the probabilities with and without the class
  --combine linear         adds multiples of them, and cuts negative ones off
  --combine kernel         log, but of the law of a whole step, in which a base may also stay:
                           for methods whose states are bases: masked, uniform, metric
  --guide MODEL            follows the gradient of a classifier of noisy states
  --guide MODEL --guide-form exact
                           asks it for each of the four bases where one is about to jump: dearer,
                           without the gradient's approximation; masked, uniform, metric

In a template, letters are held and . or N is free; its length is that of the sequences.
Guidance 1 samples the class as it is in the data; more makes sequences more typical of the
class and less diverse. The same seed gives the same sequences, whatever the batch size.
"""
_EVALUATE = """\
examples:
  seqflow dna evaluate out.fasta
  seqflow dna evaluate ctcf=mine.fasta --training ctcf.fa.gz
  seqflow dna evaluate out.fasta --reference ctcf=ctcf.fa.gz --groups chr1
  seqflow dna evaluate ctcf=heldout.fa --likelihood runs/dna/ctcf-pu1-masked
  seqflow dna evaluate FOLDER --motif CTCF jaspar:MA0139.1 --pictures logos

Without LABEL=, the class is read from the headers (label=...), as `sample` writes them.
"""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this domain; see `seqflow.cli` for the contract."""
    parser.description = "DNA sequences of a class: learn them, make them, judge them."
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_train(verbs.add_parser("train", help="train a generator", epilog=_TRAIN))
    _add_oracle(verbs.add_parser("oracle", help="train a classifier", epilog=_ORACLE))
    _add_sample(verbs.add_parser("sample", help="make sequences", epilog=_SAMPLE))
    _add_evaluate(verbs.add_parser("evaluate", help="judge sequences", epilog=_EVALUATE))


def _add_settings(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("config", type=Path, metavar="CONFIG.yaml", help="what to train, and how")
    verb.add_argument(
        "overrides", nargs="*", metavar="key=value", help="replace a setting, as in out=runs/mine"
    )
    verb.add_argument("--device", default="auto", help="auto (default), cpu, cuda, ...")


def _add_train(verb: argparse.ArgumentParser) -> None:
    _add_settings(verb)
    verb.set_defaults(handler=run_train)


def _add_oracle(verb: argparse.ArgumentParser) -> None:
    _add_settings(verb)
    verb.set_defaults(handler=run_oracle)


def _add_sample(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("--model", help="folder of a model, or a bundled one by name (default: ctcf-pu1)")
    add("--num", type=int, default=10, help="how many sequences (default: 10)")
    add("--length", type=int, help="bases (default: as trained)")
    add("--template", help="bases to hold, . or N where free: ACGT....NNNN (default: none)")
    add("--label", help="class to steer towards (default: none)")
    add("--guidance", type=float, help="strength of the steering (default: 1)")
    add("--combine", choices=COMBINE, help="what guidance mixes, see below (default: log)")
    add("--guide", metavar="MODEL", help="steer by this classifier of noisy states instead")
    add("--guide-form", choices=GUIDE_FORM, help="how, see below (default: gradient)")
    add("--steps", type=int, help="of the sampler (default: 50; autoregressive: the length)")
    add("--seed", type=int, default=0, help="(default: 0)")
    add("--batch-size", type=int, default=64, help="sequences at once (default: 64)")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    add("--out", default="-", help="FASTA file, .gz compresses (default: stdout)")
    verb.set_defaults(handler=run_sample)


def _add_evaluate(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("sequences", nargs="+", metavar="[LABEL=]FILE|DIR", help="FASTA files, or folders of them")
    add("--model", help="folder of an oracle, or a bundled one (default: ctcf-pu1-oracle)")
    add(
        "--reference",
        action="append",
        metavar="LABEL=FILE",
        help="real sequences of a class (default: those that the oracle brings)",
    )
    add("--groups", nargs="+", metavar="GROUP", help="use these chromosomes of the reference")
    add("--training", nargs="+", metavar="FILE", help="also report the nearest of these")
    add("--likelihood", metavar="MODEL", help="also report what a base costs this generator, bits")
    add(
        "--motif",
        nargs="+",
        metavar="NAME|FILE|jaspar:NAME",
        help="count the sites of these (default: CTCF PU1)",
    )
    add("--pictures", type=Path, metavar="DIR", help="draw the logo of every motif's sites")
    add("--save-reference", type=Path, metavar="DIR", help="keep the reference with that oracle")
    add("--out", type=Path, help="CSV file of the table (default: Markdown to stdout)")
    verb.set_defaults(handler=run_evaluate)


def run_train(options: argparse.Namespace) -> None:
    """Train a generator."""
    from seqflow.settings import load_settings

    from .settings import GeneratorSettings
    from .training import train_generator

    settings = load_settings(GeneratorSettings, options.config, options.overrides)
    train_generator(settings, device=options.device)
    _say(f"wrote {settings.out}; try: seqflow dna sample --model {settings.out}")


def run_oracle(options: argparse.Namespace) -> None:
    """Train a classifier."""
    from seqflow.settings import load_settings

    from .settings import ClassifierSettings
    from .training import train_classifier

    settings = load_settings(ClassifierSettings, options.config, options.overrides)
    train_classifier(settings, device=options.device)
    _say(f"wrote {settings.out}")


def run_sample(options: argparse.Namespace) -> None:
    """Make sequences."""
    from seqflow.files import check_writable

    from .fasta import write_fasta
    from .generation import generate
    from .models import DEFAULT_GENERATOR, load_generator

    check_writable(options.out)
    _check_steering(options)
    guidance = 1.0 if options.guidance is None else options.guidance
    steering = read_steering(guidance, options.combine, options.guide, options.guide_form)
    generator = load_generator(options.model or DEFAULT_GENERATOR)
    tokens = generate(
        generator,
        options.label,
        options.num,
        length=options.length,
        template=options.template,
        steering=steering,
        steps=options.steps,
        seed=options.seed,
        batch_size=options.batch_size,
        device=options.device,
        progress=True,
    )
    kind = options.label or "any"
    known = f"label={kind} guidance={guidance:g} " if options.label else ""
    headers = [
        f"{kind}-{options.seed}-{index} {known}seed={options.seed} index={index}"
        for index in range(options.num)
    ]
    write_fasta(options.out, tokens, headers)
    if options.out != "-":
        _say(f"wrote {options.num} sequences to {options.out}")


def _check_steering(options: argparse.Namespace) -> None:
    """Refuse options of steering that have no effect."""
    for option in ("guidance", "combine", "guide", "guide_form"):
        if options.label is None and getattr(options, option) is not None:
            name = option.replace("_", "-")
            raise ValueError(f"--{name} steers towards a class: say which with --label")
    if options.combine and options.guide:
        raise ValueError("--combine is a rule of guidance without --guide: give one of them")
    if options.guide_form and not options.guide:
        raise ValueError("--guide-form is a way to use a classifier: name one with --guide")


def read_steering(
    strength: float, combine: str | None, guide: str | None, guide_form: str | None = None
) -> Steering:
    """The steering that the words of the command line mean; None for their defaults."""
    from seqflow.guidance import linear, log_linear

    from .models import load_classifier
    from .steering import ByGradient, ByJumps, ByKernels, ByPredictions

    if guide:
        forms = {"gradient": ByGradient, "exact": ByJumps}
        return forms[guide_form or "gradient"](strength, load_classifier(guide))
    mixing: dict[str, Steering] = {
        "log": ByPredictions(strength, log_linear),
        "linear": ByPredictions(strength, linear),
        "kernel": ByKernels(strength),
    }
    return mixing[combine or "log"]


def run_evaluate(options: argparse.Namespace) -> None:
    """Judge sequences."""
    from seqflow.files import check_writable

    from .evaluation import draw_logos, read_references, read_sets, write_table
    from .fasta import read_fasta
    from .judge import MOTIFS, format_table, load_judge, save_references
    from .likelihood import bits_per_base
    from .models import DEFAULT_ORACLE, load_generator
    from .records import concatenate

    if options.out:
        check_writable(options.out)
    if options.groups and not options.reference:
        raise ValueError("--groups chooses from the reference: give it with --reference")
    references = None
    if options.reference:
        references = read_references(options.reference, options.groups)
    judge = load_judge(options.model or DEFAULT_ORACLE, references, options.motif or MOTIFS)
    training = None
    if options.training:
        training = concatenate([read_fasta(path, label="") for path in options.training]).tokens
    generator = load_generator(options.likelihood) if options.likelihood else None
    sets = read_sets(options.sequences)
    rows = {}
    for name, (label, tokens) in sets.items():
        try:
            rows[name] = judge.row(tokens, label, training)
            if generator is not None:
                rows[name]["bits"] = bits_per_base(generator, tokens, label).bits
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    rows |= {f"real {label}": judge.reference_row(label) for label, _ in sets.values()}
    if options.pictures:
        draw_logos(options.pictures, judge, sets)
        _say(f"wrote pictures to {options.pictures}")
    if options.save_reference:
        save_references(options.save_reference, judge)
    if options.out:
        write_table(options.out, rows)
        _say(f"wrote {options.out}")
    else:
        print(format_table(rows))  # noqa: T201  # the result


def _say(message: str) -> None:
    import sys

    print(message, file=sys.stderr)  # noqa: T201  # a message
