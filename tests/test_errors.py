"""The message of a `UserError` is one line of bearable length, whatever names it holds."""

import pickle

import pytest

from jfewshot.errors import UserError


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("class 'owl' has 3 clips", "class 'owl' has 3 clips"),
        ("class 'a\nb\tc'", "class 'a\u240ab\u2409c'"),
        ("\x1b[31mred\x85", "\u241b[31mred\ufffd"),
        (KeyError("x"), "'x'"),
        ("x" * 2_000, "x" * 2_000),
        ("a" * 900 + "b" * 5_000 + "c" * 900, "a" * 900 + " [...] " + "c" * 900),
    ],
)
def test_control_characters_are_shown_and_the_middle_of_a_long_message_is_left_out(given, shown):
    error = UserError(given)
    assert str(error) == shown
    assert str(pickle.loads(pickle.dumps(error))) == shown  # errors of other processes
