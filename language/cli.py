"""``seqflow language``: prepare, train, sample, evaluate. Imports torch only when a verb runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import Generator
    from .tokenizers import Tokenizer

TOKENIZERS = ("character", "bpe")

_PREPARE = """\
examples:
  seqflow language prepare novels.txt.gz --index novels.tsv --group author --fold --out data/novels
  seqflow language prepare FOLDER --tokenizer bpe --vocabulary 4096 --out data/mine
  seqflow language prepare poems.txt --lines --out data/poems

Documents are files, or lines (--lines), or rows of a table (--index) with the columns start and
chars, in characters, of one file. Whole documents, or whole groups of them (--group), go to
train, validation or test; a single document is cut by position instead.
"""
_TRAIN = """\
examples:
  seqflow language train configs/language/characters_masked.yaml data.corpus=data/novels
  seqflow language train configs/language/characters_autoregressive.yaml training.steps=2000

Interrupted? Run the same command again: training goes on where it stopped, bit for bit.
The folder `out` then holds config.yaml, tokenizer.json and model.safetensors (the model),
training.png (its curves) and training_state.safetensors (to go on from; delete it when done).
"""
_SAMPLE = """\
examples:
  seqflow language sample --prompt "it was " --length 256 --steps 64 --seed 0
  seqflow language sample --template "it was ______ of times it was the ______ of times"
  seqflow language sample --model runs/language/characters-masked --num 20 --out sheet.html
  seqflow language sample --temperature 0.8 --top-p 0.95 --num 1000 --out samples.jsonl

A prompt is what every text begins with. In a template, any text is held and each _ (or what
--mark says) is one free token; its length is that of the texts. Models but autoregressive ones
fill gaps so that they fit what is behind them, too. --out writes plain text, records for
`evaluate` (.jsonl) or a sheet to look at (.md, .html). The same seed gives the same texts,
whatever the batch size.
"""
_EVALUATE = """\
examples:
  seqflow language evaluate data/novels --model runs/language/characters-masked
  seqflow language evaluate data/novels --model runs/language/characters-masked --windows 512
  seqflow language evaluate samples.jsonl other.txt --model runs/language/characters-autoregressive

For a corpus: bits per character of a part of it (--split), exact for autoregressive models and
an upper bound for others, beside n-grams learned from its part train (--ladder). For a file:
the same for the text, or for each line (--lines), or each sample of a .jsonl file.
"""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this domain; see `seqflow.cli` for the contract."""
    parser.description = "Text: learn it by diffusion or from left to right, make it, judge it."
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_prepare(verbs.add_parser("prepare", help="make a corpus of text files", epilog=_PREPARE))
    _add_train(verbs.add_parser("train", help="train a generator", epilog=_TRAIN))
    _add_sample(verbs.add_parser("sample", help="make text", epilog=_SAMPLE))
    _add_evaluate(verbs.add_parser("evaluate", help="judge text or a model", epilog=_EVALUATE))


def _add_prepare(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("files", nargs="+", type=Path, metavar="FILE|DIR", help="text, .gz too")
    add("--tokenizer", choices=TOKENIZERS, default="character", help="(default: character)")
    add("--vocabulary", type=int, default=4096, help="of bpe, at most (default: 4096)")
    add("--fold", action="store_true", help="to letters a-z and single spaces first")
    add("--lines", action="store_true", help="each line is a document")
    add("--index", type=Path, metavar="TABLE", help="where the documents are in the one file")
    add("--group", metavar="COLUMN", help="column of the table that stays in one part")
    add(
        "--split",
        nargs=3,
        type=float,
        default=(0.9, 0.05, 0.05),
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="shares of the characters (default: 0.9 0.05 0.05)",
    )
    add("--seed", type=int, default=0, help="of the split (default: 0)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the corpus")
    verb.set_defaults(handler=run_prepare)


def _add_train(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("config", type=Path, metavar="CONFIG.yaml", help="what to train, and how")
    add("overrides", nargs="*", metavar="key=value", help="replace a setting, as in out=runs/mine")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    verb.set_defaults(handler=run_train)


def _add_sample(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("--model", help="folder of a model, or a bundled one by name (default: novels)")
    add("--num", type=int, default=4, help="how many texts (default: 4)")
    add("--length", type=int, help="tokens of each (default: as trained)")
    add("--prompt", help="what each text begins with (default: nothing)")
    add("--template", help="text to hold, _ where free (default: none)")
    add("--mark", default="_", help="of free positions in the template (default: _)")
    add("--steps", type=int, help="of the sampler (default: 64; autoregressive: the length)")
    add("--temperature", type=float, default=1.0, help="below 1: more typical (default: 1)")
    add("--top-p", type=float, default=1.0, help="mass of the tokens kept (default: 1, all)")
    add("--seed", type=int, default=0, help="(default: 0)")
    add("--batch-size", type=int, default=64, help="texts at once (default: 64)")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    add("--out", default="-", help="file, by suffix; see below (default: text to stdout)")
    verb.set_defaults(handler=run_sample)


def _add_evaluate(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("texts", nargs="+", type=Path, metavar="FILE|DIR", help="text, samples, or a corpus")
    add("--model", help="folder of a model, or a bundled one (default: novels-judge)")
    add("--split", default="test", help="part of a corpus (default: test)")
    add("--windows", type=int, metavar="N", help="look at N windows of each (default: all)")
    add("--draws", type=int, default=16, help="times for each window, even (default: 16)")
    add("--ladder", action="store_true", help="also what a corpus costs n-grams, orders 0 to 5")
    add("--lines", action="store_true", help="each line of a file is a text")
    add("--seed", type=int, default=0, help="of the draws (default: 0)")
    add("--batch-size", type=int, default=64, help="windows at once (default: 64)")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    add("--out", type=Path, help="CSV file of the table (default: Markdown to stdout)")
    verb.set_defaults(handler=run_evaluate)


def run_prepare(options: argparse.Namespace) -> None:
    """Make a corpus."""
    from .preparation import prepare
    from .splits import Fractions

    prepare(
        options.files,
        options.out,
        tokenizer=options.tokenizer,
        vocabulary=options.vocabulary,
        folded=options.fold,
        by_line=options.lines,
        index=options.index,
        group=options.group,
        fractions=Fractions(*options.split),
        seed=options.seed,
    )
    _say(f"wrote {options.out}")


def run_train(options: argparse.Namespace) -> None:
    """Train a generator."""
    from seqflow.settings import load_settings

    from .settings import GeneratorSettings
    from .training import train_generator

    settings = load_settings(GeneratorSettings, options.config, options.overrides)
    train_generator(settings, device=options.device)
    _say(f"wrote {settings.out}; try: seqflow language sample --model {settings.out}")


def run_sample(options: argparse.Namespace) -> None:
    """Make text."""
    from seqflow.files import check_writable

    from .generation import Decoding, generate
    from .models import DEFAULT_GENERATOR, load_generator
    from .writing import write_samples

    check_writable(options.out)
    generator = load_generator(options.model or DEFAULT_GENERATOR)
    texts = generate(
        generator,
        options.num,
        length=options.length,
        template=_template(options, generator),
        decoding=Decoding(options.steps, options.temperature, options.top_p),
        seed=options.seed,
        batch_size=options.batch_size,
        device=options.device,
        progress=True,
    )
    told = ("prompt", "template", "steps", "temperature", "top_p", "seed")
    description = {"model": options.model or DEFAULT_GENERATOR, "method": generator.spec.method}
    description |= {
        key: getattr(options, key) for key in told if getattr(options, key) is not None
    }
    write_samples(options.out, texts, description)
    if options.out != "-":
        _say(f"wrote {len(texts)} texts to {options.out}")


def _template(options: argparse.Namespace, generator: Generator) -> tuple[int, ...] | None:
    """The tokens that the words of the command line hold."""
    from .templates import continue_prompt, read_template

    length = generator.spec.length if options.length is None else options.length
    if options.template is not None and options.prompt is not None:
        raise ValueError("--prompt is a template that holds a beginning: give one of them")
    tokens = None
    if options.template is not None:
        tokens = read_template(options.template, generator.tokenizer, options.mark)
        for piece in options.template.split(options.mark):
            _note_folding(piece, generator.tokenizer)
    elif options.prompt is not None:
        tokens = continue_prompt(options.prompt, length, generator.tokenizer)
        _note_folding(options.prompt, generator.tokenizer)
    wanted = len(tokens) if tokens is not None else length
    if wanted > generator.spec.length:
        _say(f"note: {wanted} tokens are more than the {generator.spec.length} of training")
    return tokens


def _note_folding(text: str, tokenizer: Tokenizer) -> None:
    """Say what becomes of a text whose characters the model does not have."""
    from .folding import fold

    if tokenizer.folded and fold(text) != text:
        _say(f"note: {text!r} is {fold(text)!r} in the alphabet of this model")


def run_evaluate(options: argparse.Namespace) -> None:
    """Judge texts, or a model by them."""
    from seqflow.files import check_writable

    from .evaluation import (
        format_table,
        is_corpus,
        judge,
        ladder_rows,
        read_file,
        read_part,
        write_table,
    )
    from .models import DEFAULT_JUDGE, load_generator

    if options.out:
        check_writable(options.out)
    if options.windows is not None and options.windows < 1:
        raise ValueError(f"expected at least one window, got {options.windows}")
    generator = load_generator(options.model or DEFAULT_JUDGE)
    rows = {}
    for path in options.texts:
        if is_corpus(path):
            name = f"{path} {options.split}"
            texts = read_part(path, options.split, generator, num_windows=options.windows)
        else:
            name = str(path)
            texts = read_file(path, generator, by_line=options.lines, num_windows=options.windows)
        _say(f"{name}: {sum(map(len, texts.windows)):,} windows")
        rows[name] = judge(
            generator,
            texts,
            num_draws=options.draws,
            seed=options.seed,
            batch_size=options.batch_size,
            device=options.device,
        )
        if options.ladder and is_corpus(path):
            rows |= {f"{name}, {key}": r for key, r in ladder_rows(path, options.split).items()}
    if options.out:
        write_table(options.out, rows)
        _say(f"wrote {options.out}")
    else:
        print(format_table(rows))  # noqa: T201  # the result


def _say(message: str) -> None:
    import sys

    print(message, file=sys.stderr)  # noqa: T201  # a message
