"""Utterances are left out by name, and because they cannot be used; names that do not exist are refused."""

import dataclasses
import logging

import pytest

from jfewshot.downstream.dataset import Dataset
from jfewshot.downstream.left_out import leave_out_named, report_unusable
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class Utterance:
    name: str


DATA = Dataset("d", "Digits", tuple(Utterance(f"{n}.wav") for n in range(15)))


def test_named_utterances_are_left_out():
    left = leave_out_named(DATA, ("3.wav", "5.wav"))
    assert len(left.utterances) == 13
    assert not {"3.wav", "5.wav"} & {each.name for each in left.utterances}
    assert (left.name, left.title) == ("d", "Digits")


def test_a_name_that_the_dataset_lacks_is_refused():
    with pytest.raises(UserError, match=r"--leave-out 99\.wav: Digits has no such utterance"):
        leave_out_named(DATA, ("3.wav", "99.wav"))


def test_unusable_utterances_stop_the_run_with_the_first_of_them():
    report_unusable({}, 15, "stop")
    with pytest.raises(
        UserError,
        match=r"1\.wav: too short \(2 such utterances\)\. Correct this, or pass --on-error skip to leave such",
    ):
        report_unusable({"1.wav": "too short", "2.wav": "cannot be decoded"}, 15, "stop")


def test_skipped_utterances_are_named_up_to_ten_and_counted(caplog):
    with caplog.at_level(logging.WARNING):
        report_unusable({each.name: "too short" for each in DATA.utterances[:12]}, 15, "skip")
    assert caplog.messages == [*(f"left out: {n}.wav: too short" for n in range(10)), "12 of 15 utterances left out"]
