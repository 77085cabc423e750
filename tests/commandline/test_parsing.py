"""Arguments of a command line become a dataclass, and whatever does not fit is refused in a line."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from jfewshot.commandline.config_file import recipes
from jfewshot.commandline.parsing import parse, parse_with_common
from jfewshot.downstream.asr.config import AsrConfig
from jfewshot.errors import UserError
from jfewshot.options import ReportOptions, RunOptions
from jfewshot.simclr.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Inner:
    source: Path
    """Folder of audio. May be large."""
    crop_s: float = 12.0
    """Seconds."""
    pitch: bool = True
    """Shift the pitch."""


@dataclasses.dataclass(frozen=True)
class Nested:
    data: Inner
    out: Path
    """Folder to write."""
    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names."""
    column: Annotated[str, tyro.conf.arg(name="label-column")] = "label"
    """Column."""
    kinds: tuple[Literal["a", "b"], ...] = ("a",)
    """Kinds."""

    def __post_init__(self):
        if self.data.crop_s < 0:
            raise UserError(f"--data.crop-s is {self.data.crop_s}; give 0 or more")


def test_options_are_read_as_they_are_written():
    options = parse(
        RunOptions, ["--ways", "5", "20", "--memory-gb", "1.5", "--no-compile-cache", "--n_query", "3"], "run"
    )
    assert options == RunOptions(ways=(5, 20), memory_gb=1.5, compile_cache=False, n_query=3)
    # Words may stand in place of numbers.
    options = parse(RunOptions, ["--ways", "all", "--n-query", "all"], "run")
    assert options == RunOptions(ways=("all",), n_query="all")


def test_options_inside_others_have_a_prefix():
    found = parse(Nested, ["x", "y", "--data.source", "s", "--out=o", "--data.no-pitch", "--data.crop_s", "1e-9"])
    assert found == Nested(Inner(Path("s"), 1e-9, False), Path("o"), ("x", "y"))


BAD = {
    ("--episodes", "ten"): "--episodes is 'ten'; it must be a whole number. See --help",
    ("--episodes=ten",): "--episodes is 'ten'; it must be a whole number. See --help",
    ("--n_query", "1.5"): "--n-query is '1.5'; it must be a whole number or all. See --help",
    ("--seed", "1", "--seed", "1.5"): "--seed is '1.5'; it must be a whole number. See --help",
    ("--seed", "None"): "--seed is 'None'; it must be a whole number. See --help",
    ("--ways", "5", "x"): "--ways is '5 x'; it must be whole numbers or all. See --help",
    ("--memory-gb", "lots", "--quiet"): "--memory-gb is 'lots'; it must be a number. See --help",
    ("--protocol", "papr"): "--protocol is 'papr'; choose default, paper, mteb or mteb_faithful. See --help",
    ("--preprocessing", "l3"): "choose none, l2, center, center_l2, standardize, whiten or whiten_l2. See --help",
    ("--out",): "--out needs a value: --out FOLDER; see --help",
    ("--n-query", "--shots", "1"): "--n-query needs a value: --n-query N|all; see --help",
    ("stray",): "'stray' is not an option, nor a value of one; see --help",
    ("--group-aware", "yes"): "'yes' is not an option, nor a value of one; see --help",
    ("--memory",): "there is no option '--memory'; did you mean --memory-gb? See --help",
    ("-o", "x"): "there is no option '-o'; see --help",
}

BAD_NESTED = {
    (): "--data.source PATH is missing (Folder of audio). See --help",
    ("--data.source", "s"): "--out PATH is missing (Folder to write). See --help",
    ("--crop-s", "3"): "there is no option '--crop-s'; did you mean --data.crop-s? See --help",
    ("--data.source", "s", "--out", "o", "--data.crop-s", "x"): "--data.crop-s is 'x'; it must be a number. See --help",
    ("--data.source", "s", "--out", "o", "--kinds", "a", "c"): "--kinds is 'a c'; choose a or b. See --help",
    ("--data.source", "s", "--out", "o", "--data.crop-s", "-3"): "--data.crop-s is -3.0; give 0 or more",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_a_value_that_does_not_fit_is_refused_in_a_line(arguments, capsys):
    refused(RunOptions, arguments, BAD[arguments], capsys)


@pytest.mark.parametrize("arguments", BAD_NESTED, ids=" ".join)
def test_what_does_not_fit_options_inside_others_is_refused_in_a_line(arguments, capsys):
    refused(Nested, arguments, BAD_NESTED[arguments], capsys)


def test_the_number_of_values_is_checked(capsys):
    needs = "--compare needs 2 values: --compare BEFORE AFTER; see --help"
    refused(ReportOptions, ["--compare", "one"], needs, capsys)
    refused(ReportOptions, ["--compare", "one", "two", "three"], needs, capsys)
    found = parse(ReportOptions, ["--compare", "one", "two"])
    assert found.compare == (Path("one"), Path("two"))


@dataclasses.dataclass(frozen=True)
class Several:
    to_check: tyro.conf.Positional[tuple[Path, ...]]
    """Files to check. May be many."""


def test_a_list_that_has_to_be_given_is_not_empty(capsys):
    refused(Several, [], "TO-CHECK is missing (Files to check). See --help", capsys)
    assert parse(Several, ["a", "b"]).to_check == (Path("a"), Path("b"))


def refused(kind, arguments, message, capsys):
    with pytest.raises(UserError) as caught:
        parse(kind, list(arguments))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    said = capsys.readouterr()
    assert said.err == said.out == ""


TOML = """
names = ["x", "y"]
out = "from the file"
label-column = "class"
[data]
source = "s"
crop_s = 3
pitch = false
"""
AS_JSON = {
    "names": ["x", "y"],
    "out": "from the file",
    "label_column": "class",
    "data": {"source": "s", "crop-s": 3, "pitch": False},
}


@pytest.mark.parametrize("form", ["toml", "json"])
def test_a_file_holds_options_and_the_command_line_wins(form, tmp_path):
    path = tmp_path / f"options.{form}"
    path.write_text(TOML if form == "toml" else json.dumps(AS_JSON))
    inner = Inner(Path("s"), 3.0, False)
    from_file = Nested(inner, Path("from the file"), ("x", "y"), "class")
    assert parse(Nested, ["--config", str(path)]) == from_file
    assert parse(Nested, [f"--config={path}", "--out", "o"]) == dataclasses.replace(from_file, out=Path("o"))
    assert parse(Nested, ["z", "--config", str(path)]) == dataclasses.replace(from_file, names=("z",))
    won = dataclasses.replace(inner, crop_s=4.0, pitch=True)
    arguments = ["--data.pitch", "--data.crop_s=4", "--config", str(path)]
    assert parse(Nested, arguments) == dataclasses.replace(from_file, data=won)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("o.toml", "x = ", "o.toml is not TOML: "),
        ("o.json", "{", "o.json is not JSON: "),
        ("o.txt", "out = 'x'", "(a TOML file's name must end in .toml)"),
        ("o.json", "[1]", "should hold an object"),
        ("o.toml", "[data]\nsorce = 's'", "there is no option 'data.sorce'"),
        ("o.toml", "[data]\npitch = 3", "data.pitch is 3; it must be true or false"),
        ("o.toml", "[data]\ncrop_s = 'x'\nsource = 's'", "--data.crop-s is 'x'; it must be a number"),
        ("o.json", '{"names": ' + "[" * 100_000, "o.json has tables or lists that are nested too deeply"),
        ("o.json", '{"names": ' + '{"a": ' * 500 + "1" + "}" * 501, "there is no option 'names.a.a.a"),
        ("o.json", '{"names": [["a"]]}', "'names' holds a list in a list"),
        ("o.json", '{"names": ["a", null]}', "'names' holds null in a list"),
        ("o.json", '{"label_column": ["a", "b"]}', "label-column is a list; it must be one value"),
        ("o.json", '{"names": "\\ud800"}', "holds a character that no text can have"),
        ("o.json", '{"names": "a\\u0000b"}', "holds a character that no text can have"),
        ("o.json", '{"names": ' + "7" * 5_000 + "}", "for instance a number of thousands of digits"),
        ("o.toml", "names = " + "7" * 5_000, "for instance a number of thousands of digits"),
        ("o.json", " " * (2**24 + 1), "has more than 16,777,216 bytes; is it a file of options?"),
        ("o.toml", "names = [0x" + "f" * 9_000 + "]", "'names' holds a number of more than 64 bits"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_line(name, text, message, tmp_path, capsys):
    (tmp_path / name).write_text(text)
    refused(Nested, ["--out", "o", "--config", str(tmp_path / name)], message, capsys)


def test_an_empty_list_is_not_taken_for_the_default(tmp_path, capsys):
    (tmp_path / "o.json").write_text('{"shots": []}')
    refused(
        RunOptions,
        ["--config", str(tmp_path / "o.json")],
        "shots is an empty list; give a value, or leave shots out",
        capsys,
    )
    (tmp_path / "o.json").write_text('{"datasets": []}')  # the default is empty: all datasets
    assert parse(RunOptions, ["--config", str(tmp_path / "o.json")]) == RunOptions()


RAY = {"": None, "ray = true": (), "ray = []": (), 'ray = "head:6379"': ("head:6379",)}


@pytest.mark.parametrize("text", RAY)
def test_an_option_whose_value_may_be_left_out(text, tmp_path):
    file = tmp_path / "options.toml"
    file.write_text(text)
    assert parse(RunOptions, ["--config", str(file)]).ray == RAY[text]
    given = [] if RAY[text] is None else ["--ray", *RAY[text]]
    assert parse(RunOptions, [*given, "--seed", "1"]).ray == RAY[text]


def test_a_file_of_options_that_cannot_be_read_is_named(tmp_path, capsys):
    refused(RunOptions, ["--config", str(tmp_path)], f"--config {tmp_path} cannot be read", capsys)


@pytest.mark.parametrize(
    ("name", "kind", "required"),
    [("asr_small", AsrConfig, ["--root", "r"]), ("pretrain_small", TrainConfig, ["--data.source", "s", "--out", "o"])],
)
def test_a_recipe_of_the_package_fits_its_command(name, kind, required, tmp_path, monkeypatch, capsys):
    found = parse(kind, ["--config", name, *required, "--batch", "16"])
    assert found.batch == 16
    assert found.encoder == parse(kind, [*required, "--config", name]).encoder
    assert found.encoder.d_model == 128
    assert set(recipes()) >= {"asr_small", "pretrain_small"}
    refused(
        kind, [*required, "--config", "asr_smal"], "a recipe that comes with jfewshot (asr_small, pretrain_", capsys
    )
    # A file of one's own wins over a recipe of the same name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text('{"batch": 4}')
    assert parse(kind, [*required, "--config", name]).batch == 4


def test_two_files_or_none_are_refused(tmp_path, capsys):
    refused(Nested, ["--config"], "--config needs a file", capsys)
    refused(Nested, ["--config", "--out", "x"], "--config needs a file", capsys)
    refused(Nested, ["--config", str(tmp_path / "none.toml")], "none.toml does not exist", capsys)
    (tmp_path / "o.toml").write_text("")
    twice = ["--config", str(tmp_path / "o.toml")] * 2
    refused(Nested, twice, "--config is given twice", capsys)


def test_quiet_is_an_option_of_every_command_and_of_files(tmp_path):
    (tmp_path / "o.toml").write_text("quiet = true")
    assert parse_with_common(RunOptions, [], "run")[1] is False
    assert parse_with_common(RunOptions, ["--seed", "1", "--quiet"], "run")[1] is True
    assert parse_with_common(RunOptions, ["--config", str(tmp_path / "o.toml")], "run")[1] is True


@pytest.mark.parametrize(
    ("argument", "printed"), [("--help", "Number of episodes for each combination"), ("--version", "0.1.0")]
)
def test_help_and_version_are_printed_and_are_no_errors(argument, printed, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(RunOptions, ["--episodes", "ten", argument], "run")
    assert caught.value.code == 0
    assert printed in capsys.readouterr().out
