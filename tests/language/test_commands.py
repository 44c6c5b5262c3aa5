"""The commands from end to end on small data, and what they say to bad input."""

import csv
import itertools
import json
import shutil

import pytest
import torch

from language.cli import TOKENIZERS
from language.corpus import load_corpus
from language.folding import fold
from language.models import load_generator
from seqflow.cli import main

METHODS = ["radial", "masked", "uniform", "autoregressive"]
LENGTH = 12
CONFIG = """\
data: {corpus: CORPUS, length: 12, validation_windows: 4}
network: {width: 8, layers: 1, heads: 2}
training: {steps: 4, batch_size: 8, validate_every: 2, precision: bf16-mixed}
out: OUT
"""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Thirty small documents, as characters and as pieces of words."""
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "text").mkdir()
    words = ["the", "cat", "and", "a", "hat", "sat", "on", "that"]
    generator = torch.Generator().manual_seed(0)
    for number in range(30):
        chosen = torch.randint(len(words), (60,), generator=generator).tolist()
        (folder / "text" / f"{number:02}.txt").write_text(" ".join(words[i] for i in chosen))
    command = ["language", "prepare", str(folder / "text"), "--fold"]
    for kind in TOKENIZERS:
        words = ["--tokenizer", kind, "--vocabulary", "40", "--out", str(folder / kind)]
        assert main([*command, *words, "--split", "0.8", "0.1", "0.1"]) == 0
    return folder


def config(corpora, folder, out, kind="character"):
    path = folder / f"{out}.yaml"
    path.write_text(
        CONFIG.replace("CORPUS", str(corpora / kind)).replace("OUT", str(folder / out))
    )
    return str(path)


@pytest.fixture(scope="module")
def models(corpora, tmp_path_factory):
    """A trained generator of every method, and one of pieces of words."""
    folder = tmp_path_factory.mktemp("models")
    for method in METHODS:
        path = config(corpora, folder, method)
        assert main(["language", "train", path, f"method={method}"]) == 0
    assert main(["language", "train", config(corpora, folder, "bpe", "bpe"), "method=masked"]) == 0
    return folder


def sample(models, out, *words, method="masked"):
    command = ["language", "sample", "--model", str(models / method), "--out", str(out)]
    words = list(map(str, words))
    steps = [] if "--steps" in words else ["--steps", "3"]
    return main([*command, *steps, *words])


def test_a_corpus_is_what_was_read(corpora):
    corpus = load_corpus(corpora / "character")
    texts = {path.read_text() for path in (corpora / "text").iterdir()}
    found = [corpus.tokenizer.decode(part.tokens.tolist()) for part in corpus.parts.values()]
    assert sum(map(len, found)) == sum(len(text) + 1 for text in texts)
    assert sum(len(part.groups) for part in corpus.parts.values()) == 30
    pieces = load_corpus(corpora / "bpe")
    for name, part in pieces.parts.items():
        assert part.characters == corpus.part(name).characters
        text = pieces.tokenizer.decode(part.tokens.tolist())
        assert text.replace("\n", " ") == corpus.tokenizer.decode(
            corpus.part(name).tokens.tolist()
        )


@pytest.mark.parametrize("method", METHODS)
def test_the_batch_size_does_not_change_texts(models, tmp_path, method):
    texts = []
    for size in (64, 128):
        out = tmp_path / f"{size}.txt"
        words = ("--num", 70, "--seed", 5, "--batch-size", size)
        assert sample(models, out, *words, method=method) == 0
        texts.append(out.read_text().splitlines())
    assert texts[0] == texts[1]
    assert [len(text) for text in texts[0]] == [LENGTH] * 70
    assert len(set(texts[0])) > 60


@pytest.mark.parametrize("method", METHODS)
def test_prompts_and_templates_are_held(models, tmp_path, method):
    out = tmp_path / "out.txt"
    words = ("--prompt", "The cat", "--length", 16, "--num", 5)
    assert sample(models, out, *words, method=method) == 0
    assert all(len(t) == 16 and t[:7] == "the cat" for t in out.read_text().splitlines())
    template = "_a_ hat_sat_"
    assert sample(models, out, "--template", template, "--num", 5, method=method) == 0
    for text in out.read_text().splitlines():
        assert all(a in (b, "_") for a, b in zip(template, text, strict=True))


def test_what_the_alphabet_lacks_is_said(models, tmp_path, capsys):
    out = tmp_path / "out.txt"
    assert sample(models, out, "--prompt", "Cat 7", method="masked") == 0
    assert "note: 'Cat 7' is 'cat ' in the alphabet" in capsys.readouterr().err
    assert sample(models, out, "--template", "a_É", method="masked") == 0
    assert "note: 'É' is 'e' in the alphabet" in capsys.readouterr().err


def test_another_mark_and_pieces_of_words(models, tmp_path):
    out = tmp_path / "out.txt"
    assert sample(models, out, "--template", "the #### hat", "--mark", "#", method="bpe") == 0
    assert all(
        text.startswith("the ") and text.endswith(" hat") for text in out.read_text().splitlines()
    )


@pytest.mark.parametrize("method", METHODS)
def test_temperature_and_top_p(models, tmp_path, method):
    found = set()
    for words in ((), ("--temperature", 0.3), ("--top-p", 0.3), ("--temperature", 0)):
        assert sample(models, tmp_path / "out.txt", "--num", 20, *words, method=method) == 0
        found.add((tmp_path / "out.txt").read_text())
    assert len(found) == 4


def test_without_out_texts_go_to_stdout(models, capsys):
    command = ["language", "sample", "--model", str(models / "masked"), "--num", "3"]
    assert main([*command, "--steps", "2"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert "sampling" in captured.err


def test_sheets(models, tmp_path):
    for suffix in ("md", "html"):
        out = tmp_path / f"sheet.{suffix}"
        assert sample(models, out, "--num", 2, "--prompt", "the ", "--seed", 3) == 0
        assert "masked" in out.read_text()
    assert (tmp_path / "sheet.html").read_text().count("<mark>the </mark>") == 2
    assert (tmp_path / "sheet.md").read_text().count("\n```\nthe ") == 2


@pytest.mark.parametrize("method", METHODS)
def test_what_a_character_costs(models, corpora, tmp_path, method):
    out = tmp_path / "table.csv"
    command = ["language", "evaluate", str(corpora / "character"), "--model", str(models / method)]
    assert main([*command, "--ladder", "--windows", "8", "--out", str(out)]) == 0
    cells, *ladder = csv.DictReader(out.read_text().splitlines())
    assert float(cells["tokens"]) == 8 * LENGTH
    assert cells["bits/character"] == cells["bits/token"]
    costs = [float(row["bits/character"]) for row in ladder]
    assert len(costs) == 6
    assert costs[3] < costs[0] < 4.75
    # Four steps of training hardly move it from the frequencies; the bounds are noisy.
    assert abs(float(cells["bits/character"]) - costs[0]) < 1


def test_what_a_character_costs_in_pieces_of_words(models, corpora, capsys):
    command = ["language", "evaluate", str(corpora / "bpe"), "--model", str(models / "bpe")]
    capsys.readouterr()
    assert main([*command, "--split", "validation"]) == 0
    header, _, row = capsys.readouterr().out.splitlines()
    cells = dict(zip(header.split("|"), row.split("|"), strict=True))
    part = load_corpus(corpora / "bpe").part("validation")
    ratio = float(cells[" bits/token "]) / float(cells[" bits/character "])
    # Both are shown with three digits behind the point.
    assert ratio == pytest.approx(part.characters / len(part.tokens), rel=1e-3)


def test_samples_are_judged_one_by_one(models, tmp_path, capsys):
    out = tmp_path / "samples.jsonl"
    assert sample(models, out, "--num", 6, "--length", 20) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(r["seed"], r["index"], len(r["text"])) for r in records] == [
        (0, i, 20) for i in range(6)
    ]
    texts = tmp_path / "samples.txt"
    texts.write_text("".join(f"{record['text']}\n" for record in records))
    judge = ["--model", str(models / "autoregressive")]
    capsys.readouterr()
    assert main(["language", "evaluate", str(out), *judge]) == 0
    by_record = capsys.readouterr().out.splitlines()[-1].partition("|")[2].partition("|")[2]
    assert main(["language", "evaluate", str(texts), "--lines", *judge]) == 0
    by_line = capsys.readouterr().out.splitlines()[-1].partition("|")[2].partition("|")[2]
    assert by_record == by_line
    # The judge folds: runs of spaces, which a fresh model likes, are one.
    assert f" {sum(len(fold(record['text'])) for record in records)} " in by_record


@pytest.mark.parametrize("method", METHODS)
def test_training_goes_on_where_it_stopped(models, corpora, tmp_path, method, capsys):
    path = config(corpora, tmp_path, "model")
    words = [f"method={method}", "training.checkpoint_every=1"]
    assert main(["language", "train", path, *words, "training.steps=2"]) == 0
    capsys.readouterr()
    assert main(["language", "train", path, *words]) == 0
    assert "2/4" in capsys.readouterr().err  # where it went on
    again = load_generator(str(tmp_path / "model")).network
    # A cosine of another length came before, so the weights differ; what is drawn does not.
    assert all(weight.isfinite().all() for weight in again.parameters())


def test_an_interrupted_training_equals_a_whole_one(models, corpora, tmp_path, monkeypatch):
    from language.windows import WindowStream

    path = config(corpora, tmp_path, "model")
    words = ["method=masked", "training.checkpoint_every=1"]
    whole = WindowStream.__iter__

    def stops(self):
        yield from itertools.islice(whole(self), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(WindowStream, "__iter__", stops)
    assert main(["language", "train", path, *words]) == 130
    monkeypatch.undo()
    assert main(["language", "train", path, *words]) == 0
    again, once = (
        load_generator(str(folder)) for folder in (tmp_path / "model", models / "masked")
    )
    for a, b in zip(again.network.parameters(), once.network.parameters(), strict=True):
        assert torch.equal(a, b)


def fails(capsys, *command):
    """The one line on stderr of a command that must exit with 2."""
    capsys.readouterr()
    assert main(list(map(str, command))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.splitlines()[-1]
    assert line.startswith("seqflow: error: ")
    return line


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--num", "0"], "number of texts of at least 1, got 0"),
            (["--length", "0"], "length of at least 1, got 0"),
            (["--steps", "0"], "at least one sampling step, got 0"),
            (["--batch-size", "0"], "batch size of at least 1, got 0"),
            (["--temperature", "-1"], "temperature of at least 0, got -1"),
            (["--top-p", "0"], "top-p above 0 and at most 1, got 0"),
            (["--seed", "-1"], "seed of at least 0, got -1"),
            (["--prompt", "a" * 13], "13 tokens, which leaves none of the 12 of a sample free"),
            (["--prompt", "a" * 12], "12 tokens, which leaves none of the 12 of a sample free"),
            (["--template", "a_", "--length", "9"], "has 2 positions, not the 9 of --length"),
            (["--template", ""], "template with free positions, _, got ''"),
            (["--template", "the cat"], "to go on from a text give it as a prompt"),
            (["--template", "a", "--mark", "ab"], "one character that marks free positions"),
            (["--template", "a", "--prompt", "b"], "give one of them"),
            (["--model", "nonsense"], "no model 'nonsense'"),
            (["--device", "abacus"], "unknown device 'abacus'"),
        ],
    )
    def test_bad_options_of_sample(self, models, tmp_path, capsys, words, message):
        command = ["language", "sample", "--model", models / "masked"]
        line = fails(capsys, *command, "--out", tmp_path / "out.txt", *words)
        assert message in line
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--split", "0.5", "0.5", "0.5"], "three shares"),
            (["--group", "author"], "give it with --index"),
            (["--index", "none.tsv"], "one text file: give just that file"),
            (["--tokenizer", "bpe", "--vocabulary", "9"], "more than 256 tokens"),
        ],
    )
    def test_bad_options_of_prepare(self, corpora, tmp_path, capsys, words, message):
        texts = [corpora / "text" / f"{n:02}.txt" for n in range(3)]
        command = ["language", "prepare", *texts, "--out", tmp_path / "c"]
        assert message in fails(capsys, *command, *words)
        assert not (tmp_path / "c" / "corpus.json").exists()

    def test_bad_files_are_refused_and_the_rest_is_used(self, corpora, tmp_path, capsys):
        (tmp_path / "bad.txt").write_bytes(b"\xff")
        texts = [corpora / "text" / f"{n:02}.txt" for n in range(3)]
        command = ["language", "prepare", *texts, tmp_path / "bad.txt", "--out", tmp_path / "c"]
        assert main(list(map(str, command))) == 0
        assert "refused: " in capsys.readouterr().err
        command = ["language", "prepare", tmp_path / "bad.txt", "--out", tmp_path / "c"]
        line = fails(capsys, *command)
        assert "nothing could be read" in line
        assert "byte 0xff at offset 0" in line

    def test_one_document_is_cut_with_a_note(self, corpora, tmp_path, capsys):
        command = ["language", "prepare", corpora / "text" / "00.txt", "--out", tmp_path / "c"]
        assert main(list(map(str, command))) == 0
        assert "each document is cut by position" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("data.corpus=nothing", "no corpus in nothing"),
            ("data.length=100000", "data.length"),
            ("data.length=9000", "at least 9000 tokens to train on"),
            ("method=magic", "method: Input should be 'radial'"),
            ("path.start=0.5", "the method masked has no start"),
            ("path.start=2", "path.start: Input should be less than or equal to 1"),
            ("network.width=9", "multiple of twice the heads"),
            ("network.depth=9", "network.depth"),
            ("training.steps=often", "training.steps"),
        ],
    )
    def test_bad_settings(self, corpora, tmp_path, capsys, word, message):
        line = fails(capsys, "language", "train", config(corpora, tmp_path, "m"), word)
        assert message in line
        assert not (tmp_path / "m").exists()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--split", "dev"], "no part 'dev'"),
            (["--windows", "0"], "at least one window, got 0"),
            (["--draws", "3"], "even number of draws, at least 2, got 3"),
        ],
    )
    def test_bad_options_of_evaluate(self, models, corpora, capsys, words, message):
        command = ["language", "evaluate", corpora / "character", "--model", models / "masked"]
        assert message in fails(capsys, *command, *words)

    def test_a_corpus_of_other_tokens(self, models, corpora, capsys):
        command = ["language", "evaluate", corpora / "bpe", "--model", models / "masked"]
        assert "another tokenizer than the model" in fails(capsys, *command)

    @pytest.mark.parametrize(
        ("content", "message"),
        [("", "expected a text"), ("{}\n", "line 1: expected"), ("x\n", "line 1: expected")],
    )
    def test_bad_samples(self, models, tmp_path, capsys, content, message):
        (tmp_path / "bad.jsonl").write_text(content)
        command = ["language", "evaluate", tmp_path / "bad.jsonl", "--model", models / "masked"]
        line = fails(capsys, *command)
        assert message in line
        assert "bad.jsonl" in line

    def test_sheets_are_not_texts(self, models, tmp_path, capsys):
        (tmp_path / "sheet.html").write_text("<p>a</p>")
        command = ["language", "evaluate", tmp_path / "sheet.html", "--model", models / "masked"]
        assert "tags would count as text" in fails(capsys, *command)

    def test_other_settings_do_not_go_on(self, corpora, tmp_path, capsys):
        path = config(corpora, tmp_path, "model")
        assert main(["language", "train", path]) == 0
        line = fails(capsys, "language", "train", path, "network.width=12")
        assert "made with network" in line

    def test_a_tokenizer_of_another_model(self, models, tmp_path, capsys):
        shutil.copytree(models / "masked", tmp_path / "m")
        shutil.copy(models / "bpe" / "tokenizer.json", tmp_path / "m")
        line = fails(capsys, "language", "sample", "--model", tmp_path / "m")
        assert "expected a tokenizer of 27 tokens" in line
