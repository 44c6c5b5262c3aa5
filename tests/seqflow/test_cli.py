"""The command's contract: cheap to start, one line for a fault, honest exit codes."""

import argparse
import importlib.metadata
import subprocess
import sys

import pytest

from seqflow import bench, cli

HEAVY = (
    "e3nn",
    "geomstats",
    "lightning",
    "matplotlib",
    "pytorch_lightning",
    "torch",
    "torch_geometric",
)


class FakeEntryPoint:
    """A front end that is not installed; counts how often it is loaded."""

    def __init__(self, name, add_commands):
        self.name = name
        self.module = "dna.cli"
        self.add_commands = add_commands
        self.loaded = 0

    def load(self):
        self.loaded += 1
        return self.add_commands


@pytest.fixture
def front_end(monkeypatch):
    """``front_end(handler)`` installs one front end, ``fake``, with one verb, ``act``."""

    def install(handler):
        def add_commands(parser: argparse.ArgumentParser) -> None:
            verbs = parser.add_subparsers(metavar="VERB", required=True)
            act = verbs.add_parser("act", help="do it")
            act.add_argument("--num", type=int, default=1)
            act.set_defaults(handler=handler)

        point = FakeEntryPoint("fake", add_commands)
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [point])
        return point

    return install


def raising(error):
    def handler(options):
        raise error

    return handler


def python(code, **options):
    """Run ``code`` in an interpreter of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


HELP_OF = "from seqflow.cli import main\ntry: main({})\nexcept SystemExit: pass"


@pytest.mark.parametrize(
    "code",
    [
        "import seqflow",
        HELP_OF.format(["--help"]),
        *(HELP_OF.format([name, "--help"]) for name in cli.front_ends()),
        "from seqflow.cli import main\nmain(['bench', 'no such benchmark'])",
    ],
    ids=["import", "help", *cli.front_ends(), "bench"],
)
def test_starting_imports_nothing_heavy(code):
    result = python(f"{code}\nimport sys\nprint('loaded:', *sys.modules)")
    assert result.returncode == 0, result.stderr
    loaded = result.stdout.rpartition("loaded:")[2].split()
    assert "seqflow" in loaded
    assert not set(HEAVY) & set(loaded)


def test_help_lists_the_domains_without_loading_them(front_end, capsys):
    point = front_end(raising(AssertionError))
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert all(f"\n    {name}" in out for name in ("fake", "bench", "doctor"))
    assert point.loaded == 0


def test_installed_front_ends_have_names_and_functions():
    # The generic front end is a part of seqflow; the others are packages of their own.
    homes = {"points": "seqflow.points"}
    assert {point.name: point.value for point in cli.front_ends().values()} == {
        name: f"{homes.get(name, name)}.cli:add_commands" for name in cli.front_ends()
    }
    assert "dna" in cli.front_ends()


def test_the_chosen_domain_alone_is_loaded_and_its_handler_gets_the_options(front_end):
    seen = []
    point = front_end(seen.append)
    assert cli.main(["bench"]) in (0, 2)
    assert point.loaded == 0
    assert cli.main(["fake", "act", "--num", "3"]) == 0
    assert point.loaded == 1
    assert seen[0].num == 3


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"seqflow {importlib.metadata.version('seqflow')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND (see seqflow --help)"),
        (["nope"], "invalid choice: 'nope' (choose from 'fake', 'bench', 'doctor')"),
        (["fake"], "the following arguments are required: VERB (see seqflow fake --help)"),
        (["fake", "act", "--num", "x"], "invalid int value: 'x' (see seqflow fake act --help)"),
        (["fake", "act", "--nu", "3"], "unrecognized arguments: --nu 3"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(front_end, capsys, arguments, message):
    front_end(lambda options: None)
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("seqflow: error: ")
    assert message in err.replace("fake, bench, doctor", "'fake', 'bench', 'doctor'")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("expected a or b,\n  got 'x'"), "expected a or b, got 'x'"),
        (ValueError(), "ValueError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "'utf-8' codec"),
        (FileNotFoundError(2, "No such file or directory", "in.fasta"), "in.fasta: No such file"),
        (FileNotFoundError("no model in runs/"), "no model in runs/"),
        (PermissionError(13, "Permission denied", "/out"), "/out: Permission denied"),
        (OSError(30, "Read-only file system", "/out"), "/out: Read-only file system"),
    ],
)
def test_the_users_fault_is_one_line_and_exit_2(front_end, capsys, error, line):
    front_end(raising(error))
    assert cli.main(["fake", "act"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"seqflow: error: {line}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyError("boom"), OSError("boom")])
def test_a_bug_shows_its_traceback_and_exits_1(front_end, capsys, error):
    front_end(raising(error))
    assert cli.main(["fake", "act"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert "boom" in err


def test_traceback_on_request(front_end, capsys):
    front_end(raising(ValueError("boom")))
    assert cli.main(["--traceback", "fake", "act"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("seqflow: error: boom\n")


def test_a_missing_package_names_the_extra_that_installs_it(front_end, capsys):
    front_end(raising(ModuleNotFoundError("No module named 'logomaker'", name="logomaker")))
    assert cli.main(["fake", "act"]) == 1
    err = capsys.readouterr().err
    expected = "No module named 'logomaker'; install it with: pip install 'seqflow[dna]'"
    assert err == f"seqflow: error: {expected}\n"


def test_a_missing_module_of_nobody_is_a_bug(front_end, capsys):
    front_end(raising(ModuleNotFoundError("No module named 'dna.typo'", name="dna.typo")))
    assert cli.main(["fake", "act"]) == 1
    assert capsys.readouterr().err.startswith("Traceback")


def test_ctrl_c_exits_130_without_traceback(front_end, capsys):
    front_end(raising(KeyboardInterrupt()))
    assert cli.main(["fake", "act"]) == 130
    assert capsys.readouterr().err == "seqflow: interrupted\n"


@pytest.mark.parametrize(("argument", "codes"), [("doctor", {141}), ("--help", {0, 141})])
def test_a_reader_gone_away_is_no_error(argument, codes):
    fake = "doctor.report = lambda: 'fine'"
    waits = "sys.stdin.read()"  # until the reader is gone
    code = (
        f"import sys; from seqflow import cli, doctor; {fake}; {waits}; "
        f"sys.exit(cli.main([{argument!r}]))"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait() in codes


def test_bench_outside_a_checkout_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "CHECKOUT", tmp_path)
    assert cli.main(["bench"]) == 2
    assert "not run from a checkout" in capsys.readouterr().err


def test_bench_lists_and_runs_scripts(monkeypatch, capfd, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    script = '"""Counts its arguments.\n\nMore."""\nimport sys\nsys.exit(len(sys.argv) - 1)\n'
    (tmp_path / "benchmarks" / "count.py").write_text(script)
    monkeypatch.setattr(bench, "CHECKOUT", tmp_path)
    assert cli.main(["bench"]) == 0
    assert capfd.readouterr().out.split() == ["count", "Counts", "its", "arguments."]
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "count", "--help", "b", "c"])
    assert stop.value.code == 3
    assert cli.main(["bench", "other"]) == 2
    assert "expected one of the benchmarks ['count'], got 'other'" in capfd.readouterr().err


def test_doctor_reports_versions_devices_and_what_is_missing(monkeypatch, capsys):
    version = importlib.metadata.version

    def without_logomaker(name):
        if name == "logomaker":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_logomaker)
    assert cli.main(["doctor"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"torch {version('torch')}" in rows
    assert "logomaker missing: pip install 'seqflow[dna]'" in rows
    assert any(row.startswith("cpu ") and "threads" in row for row in rows)


def test_doctor_finds_bundled_models(monkeypatch, capsys, tmp_path):
    package = tmp_path / "fakefrontend"
    for file in ("whole/config.yaml", "whole/model.safetensors", "half/config.yaml"):
        (package / "bundled" / file).parent.mkdir(parents=True, exist_ok=True)
        (package / "bundled" / file).touch()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    point = FakeEntryPoint("fake", lambda parser: None)
    point.module = "fakefrontend.cli"
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [point])
    assert cli.main(["doctor"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "fakefrontend half has no weights" in rows
    assert "fakefrontend whole found" in rows


def test_settings_behind_an_option_are_told_their_place(front_end, capsys):
    front_end(lambda options: None)
    assert cli.main(["fake", "act", "--num", "2", "out=runs/mine"]) == 2
    assert "words key=value stand together, before the options" in capsys.readouterr().err
    assert cli.main(["fake", "act", "--unknown=2"]) == 2
    assert "key=value" not in capsys.readouterr().err
