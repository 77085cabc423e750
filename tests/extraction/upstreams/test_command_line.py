"""python -m extraction.upstreams: list and check."""

from collections.abc import Callable

import pytest

from extraction.upstreams import FAMILIES, UPSTREAMS, __main__, upstream_names
from jfewshot.errors import UserError


def test_list_names_every_encoder_and_family(capsys):
    assert __main__.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *UPSTREAMS,
        *(f"{family}:..." for family in FAMILIES),
        "MODULE:CLASS",
    ]
    assert lines[1].split(maxsplit=1)[1] == "HuBERT Base: masked prediction of clusters; LibriSpeech 960 h"
    assert set(__main__.FAMILY_HINTS) == set(FAMILIES)


def test_check_says_what_an_encoder_gives(checkpoint: Callable, capsys):
    assert __main__.main(["check", "apc_960hr", "--checkpoint", str(checkpoint("apc_960hr")), "--device", "cpu"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("apc_960hr                ok  3 layers, 98 frames x 16 in a second")


def test_check_goes_on_after_a_failure_and_ends_with_it(capsys):
    with pytest.raises(UserError, match="1 of 2 encoders cannot be used: nothing"):
        __main__.main(["check", "nothing", "s3prl_mel", "--device", "cpu"])
    failed, passed = capsys.readouterr().out.splitlines()
    assert failed.startswith("nothing                  FAILED  unknown upstream")
    assert passed.startswith("s3prl_mel                ok")


def test_one_checkpoint_is_not_taken_for_two_encoders(checkpoint: Callable):
    with pytest.raises(UserError, match="FILE is one encoder's, and 13 are named; check them one at a time"):
        __main__.main(["check", "paper", "--checkpoint", str(checkpoint("apc_960hr"))])


def test_check_wants_a_name():
    with pytest.raises(UserError, match="name at least one encoder"):
        __main__.main(["check"])


def test_paper_stands_for_its_13_in_order_and_nothing_comes_twice(paper_table: dict):
    assert upstream_names(["hubert_base", "paper", "fbank"]) == [
        "hubert_base",
        *(name for name in paper_table if name != "hubert_base"),
        "fbank",
    ]
