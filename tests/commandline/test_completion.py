"""The completion script, run by bash itself."""

import shutil
import subprocess
import sys

import pytest

from jfewshot.commandline.commands import COMMANDS
from jfewshot.commandline.completion import script

ASK = """
{script}
jfewshot() {{ echo "asked $*" >&3; echo "{names}"; }}
COMP_WORDS=({words})
COMP_CWORD={at}
{line}
_jfewshot 3>&2
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def complete():
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    bash = script(["bash"])

    def ask(*words):
        quoted = " ".join(f"'{word}'" for word in ("jfewshot", *words))
        program = ASK.format(script=bash, words=quoted, at=len(words), names="", line="")
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return ask


def test_commands_are_completed(complete):
    assert set(complete("")) >= {name.split()[0] for name in COMMANDS}
    assert complete("re") == ["report"]
    assert complete("store", "") == ["create", "import", "export", "fuse", "statistics", "inspect", "verify"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--shot"), ["--shots"]),
        (("run", "--stores", "x", "--no-c"), ["--no-compile-cache"]),
        (("store", "create", "--emb"), ["--embeddings"]),
        (("pretrain", "--data.so"), ["--data.source"]),
        (("asr", "--config", "x.toml", "--beam.s"), ["--beam.size"]),
        (("extract", "--que"), []),
        (("extract", "--qui"), ["--quiet"]),
    ],
)
def test_options_are_completed(complete, words, expected):
    assert complete(*words) == expected


def test_choices_are_completed_and_paths_are_left_to_the_shell(complete):
    assert complete("run", "--protocol", "") == ["default", "paper", "mteb", "mteb_faithful"]
    assert complete("run", "--protocol", "p") == ["paper"]
    assert complete("run", "--stores", "") == []


def test_zsh_gets_the_same_function_after_its_own_preparation():
    bash, zsh = (script([shell]).splitlines() for shell in ("bash", "zsh"))
    assert zsh[1] == "autoload -U +X bashcompinit && bashcompinit"
    assert zsh[2:] == bash[1:]


def test_names_of_encoders_are_completed(complete):
    assert complete("extract", "--upstreams", "hub") == ["hubert_base"]
    assert complete("extract", "--upstreams", "fbank", "mf") == ["mfcc"]
    assert complete("upstreams", "check", "hop") == ["hoplite:"]
    assert complete("fit", "--upstream", "yam") == ["yamnet"]
    assert complete("extract", "--upstreams", "fbank", "--repla") == ["--replace"]
    assert complete("extract", "--out", "hub") == []
    assert complete("store", "create", "--upstream", "hub") == []  # any name will do there


@pytest.mark.parametrize("breaks", ["\"'@><=;|&(:", "\"'@><=;|&("])
def test_names_after_a_colon_are_asked_for_and_replace_what_bash_takes_for_a_word(breaks):
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    line = "jfewshot upstreams check fbank hoplite:per"
    words = [*line.split()[:-1], "hoplite", ":", "per"] if ":" in breaks else line.split()
    words = words[1:]
    program = ASK.format(
        script=script(["bash"]),
        words=" ".join(f"'{word}'" for word in ("jfewshot", *words)),
        at=len(words),
        names="hoplite:perch_v2 hoplite:perch_8 hoplite:aves",
        line=f"COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDBREAKS='{breaks.replace(chr(39), '')}'; _jfewshot 3>/dev/null",
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""  # asked for once: the second time the names are known
    head = "" if ":" in breaks else "hoplite:"
    assert done.stdout.split() == [f"{head}perch_v2", f"{head}perch_8"]


def test_names_are_read_without_importing_a_zoo():
    program = (
        "import sys; from jfewshot.commandline.completion import script; names = script(['names', 's3prl']).split(); "
        "assert 's3prl:hubert_base' in names, names; assert script(['names', 'hf']) == ''; "
        "assert 'simclr:speech_simclr_small' in script(['names', 'simclr']); "
        "[script(['names', family]) for family in ('hear', 'mteb', 'hoplite', 'avex')]; "
        "assert not {'s3prl', 'torch', 'mteb', 'perch_hoplite', 'avex', 'hearbaseline'} & set(sys.modules)"
    )
    pytest.importorskip("s3prl", reason="s3prl is not installed")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
