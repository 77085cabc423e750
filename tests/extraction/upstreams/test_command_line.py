"""python -m extraction.upstreams: list and check."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from extraction.options import LoadingOptions
from extraction.upstreams import (
    FAMILIES,
    UPSTREAMS,
    __main__,
    check_upstream_names,
    checking,
    load_upstream,
    upstream_names,
    zoo_listing,
)
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.listing import FAMILY_HINTS
from jfewshot.errors import UserError


def test_list_names_every_encoder_and_family(capsys):
    assert __main__.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *UPSTREAMS,
        *(f"{family}:..." for family in FAMILIES),
        "MODULE:CLASS",
    ]
    assert lines[1].split(maxsplit=1)[1] == (
        "HuBERT Base: masked prediction of clusters; LibriSpeech 960 h; 16 kHz, 768 dimensions, windows of 5 s"
    )
    assert "YAMNet; 16 kHz, 1024 dimensions, windows of 5 s; Apache-2.0" in lines[list(UPSTREAMS).index("yamnet")]
    assert set(FAMILY_HINTS) == set(FAMILIES)


def test_words_search_names_and_descriptions(capsys):
    assert __main__.main(["list", "HuBERT"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:2] == ["hubert_base", "distilhubert_base"]
    assert "s3prl:hubert_large_ll60k" in names
    assert "s3prl:hubert_base" not in names
    assert __main__.main(["list", "masked", "quantization"]) == 0
    assert "decoar2" in capsys.readouterr().out
    assert __main__.main(["list", "simclr:", "small"]) == 0
    assert capsys.readouterr().out.startswith("simclr:speech_simclr_small Speech SimCLR, small; 16 kHz, 128 dimensions")
    with pytest.raises(UserError, match="no encoder has 'bats' in its name or description"):
        __main__.main(["list", "bats"])


def test_check_says_what_an_encoder_gives(checkpoint: Callable, capsys):
    assert __main__.main(["check", "apc_960hr", "--checkpoint", str(checkpoint("apc_960hr")), "--device", "cpu"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("apc_960hr                ok  3 layers, 98 frames x 16 in a second")


def test_check_goes_on_after_a_failure_and_ends_with_it(capsys):
    assert __main__.main(["check", "nothing", "s3prl_mel", "--device", "cpu"]) == 1
    said = capsys.readouterr()
    assert said.err == "error: 1 of 2 encoders cannot be used: nothing\n"
    failed, passed = said.out.splitlines()
    assert failed.startswith("nothing                  FAILED  unknown upstream")
    assert passed.startswith("s3prl_mel                ok")


def test_one_checkpoint_is_not_taken_for_two_encoders(checkpoint: Callable):
    with pytest.raises(
        UserError, match="FILE is the weights of one upstream, and 13 are named: give NAME=FILE for each"
    ):
        __main__.main(["check", "paper", "--checkpoint", str(checkpoint("apc_960hr"))])


def test_the_paper_s_comparison_is_checked_where_its_file_is_given(monkeypatch, tmp_path: Path, capsys):
    checked = []
    monkeypatch.setattr(checking, "_check", lambda name, options: checked.append((name, options.of(name))) or True)
    assert __main__.main(["check", "paper"]) == 0
    assert [name for name, _ in checked] == upstream_names(["paper"])
    assert "mt_slvr                  not checked: pass --checkpoint mt_slvr=FILE" in capsys.readouterr().out
    (tmp_path / "mt_slvr.pt").touch()
    for given in (tmp_path, f"mt_slvr={tmp_path / 'mt_slvr.pt'}"):
        assert __main__.main(["check", "paper", "--checkpoint", str(given)]) == 0
        assert checked[-1][0] == "mt_slvr"
        assert checked[-1][1].checkpoint is not None
    assert "not checked" not in capsys.readouterr().out


def test_check_wants_a_name():
    with pytest.raises(UserError, match=r"NAMES is missing \(Encoders, as `jfewshot upstreams list` names them\)"):
        __main__.main(["check"])


def test_paper_stands_for_its_13_in_order_and_nothing_comes_twice(paper_table: dict):
    assert upstream_names(["hubert_base", "paper", "fbank"]) == [
        "hubert_base",
        *(name for name in paper_table if name != "hubert_base"),
        "fbank",
    ]


def test_each_upstream_gets_its_own_checkpoint(tmp_path):
    names = ["hubert_base", "s3prl:hubert_local", "tera_960hr"]
    given = ("hubert_base=a.pt", "s3prl:hubert_local=b=c.pt", str(tmp_path))
    options = LoadingOptions(checkpoint=given, device="cpu", faster=False).for_upstreams(names)
    expected = {"hubert_base": "a.pt", "s3prl:hubert_local": "b=c.pt", "tera_960hr": str(tmp_path)}
    for name, path in expected.items():
        assert options.of(name) == UpstreamOptions("cpu", faster=False, checkpoint=type(tmp_path)(path))
    odd = tmp_path / "a=b.pt"
    odd.touch()
    assert LoadingOptions(checkpoint=(str(odd),)).for_upstreams(["fbank"]).of("fbank").checkpoint == odd


def test_the_checkpoint_of_an_upstream_reaches_its_factory(checkpoint: Callable, capsys):
    path = checkpoint("apc_960hr")
    arguments = ["check", "s3prl_mel", "apc_960hr", "--checkpoint", f"apc_960hr={path}", "--device", "cpu"]
    assert __main__.main(arguments) == 0
    assert "apc_960hr                ok  3 layers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("huber_base=a.pt",), "'huber_base' is not among the upstreams of this run; did you mean hubert_base"),
        (("a.pt",), "is the weights of one upstream, and 2 are named"),
        (("hubert_base=a.pt", "b.pt", "c.pt"), "is the weights of one upstream, and 1 are named"),
    ],
)
def test_checkpoints_of_no_upstream_or_of_several_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        LoadingOptions(checkpoint=given).for_upstreams(["hubert_base", "tera_960hr"])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("byol_a_512", "did you mean s3prl:byol_a_512?"),
        ("hubertt_base", "did you mean hubert_base"),
        ("speech_simclr_smal", "did you mean simclr:speech_simclr_small"),
        ("completely different", "unknown upstream 'completely different': `jfewshot upstreams list` shows all names"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_the_nearest(name, nearest):
    for refuse in (check_upstream_names, lambda names: load_upstream(names[0])):
        with pytest.raises(UserError) as caught:
            refuse([name])
        assert nearest in str(caught.value)
        assert len(str(caught.value)) < 300


def test_names_that_can_be_loaded_are_not_refused():
    check_upstream_names(["HuBERT Base", "paper_encoder:MyEncoder", "hf:a/b", "s3prl:apc", *UPSTREAMS])


def test_without_the_package_of_a_zoo_a_line_says_what_to_install(monkeypatch):
    for family, package in (("hoplite", "perch_hoplite"), ("avex", "avex"), ("speechbrain", "speechbrain")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(UserError, match=rf"pip install 'jfewshot\[{family}\]'"):
            load_upstream(f"{family}:anything")


def test_a_zoo_that_cannot_be_imported_is_left_out_of_the_list_and_said(monkeypatch, caplog):
    def fails():
        raise ImportError("of another release")
        yield

    monkeypatch.setattr(zoo_listing, "_ZOOS", {"hoplite": (None, fails)})
    assert zoo_listing.zoo_lines() == []
    assert "the encoders of hoplite are left out of the list: ImportError: of another release" in caplog.text


def test_naming_an_encoder_of_a_zoo_loads_nothing_of_the_zoo():
    program = (
        "import sys; from extraction.upstreams import check_upstream_names; from extraction.upstreams.listing import listing; "
        "check_upstream_names(['hoplite:perch_v2', 'avex:a', 'speechbrain:a/b']); assert 'hoplite:...' in listing(); "
        "assert not {'torch', 'perch_hoplite', 'librosa', 'avex', 'speechbrain'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3], timeout=120)
