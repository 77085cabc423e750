"""Reads an n-gram language model over units with KenLM, and turns it into a table that the jitted search looks up.

A KenLM state is the part of the history that can still matter. The table has all states that can be reached from the beginning
of a transcript, and KenLM's own log-probability of every unit after each state. So the table equals KenLM's model exactly, and
decoding never calls the host.

In the model's file each unit is a word: a character is a word of its own, a space is `<space>`. `--write-lm-text` writes
training transcripts in this form, for KenLM's `lmplz -o 5`.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.downstream.asr.beam import LanguageTable
from jfewshot.downstream.asr.units import Units
from jfewshot.errors import UserError

MOST_ENTRIES = 200_000_000
SPACE = "<space>"


def read_language_model(path: Path, units: Units) -> LanguageTable:
    """Read a language model's file (ARPA, or KenLM's binary format) as a table.

    Raises:
      UserError: if kenlm is not installed, there is no such file, it is no model, the model knows none of the units, or it
        has too many states for a table.
    """
    kenlm = _package()
    if not path.is_file():
        raise UserError(f"--lm {path} is not there; give an ARPA file or a binary of KenLM")
    quiet = kenlm.Config()
    quiet.show_progress, quiet.arpa_complain = False, kenlm.ARPALoadComplain.NONE
    try:
        model = kenlm.Model(str(path), quiet)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--lm {path} is no language model that KenLM reads ({reason})") from None
    words = [SPACE if symbol == " " else symbol for symbol in units.symbols]
    unknown = [word for word in words if word not in model]
    if len(unknown) == len(words):
        raise UserError(
            f"--lm {path} knows none of the units ({', '.join(words[:5])} ...): it must be a model of units, "
            "such as lmplz makes of what --write-lm-text writes"
        )
    return _table(model, kenlm.State, ["</s>", *words], path)


def _table(model: Any, new_state: Any, words: list[str], path: Path) -> LanguageTable:
    begin = new_state()
    model.BeginSentenceWrite(begin)
    number, states = {begin: 0}, [begin]
    log_probs: list[list[float]] = []
    following: list[list[int]] = []
    for state in states:  # the loop itself appends further states
        row, after = [], []
        for place, word in enumerate(words):
            out = new_state()
            row.append(model.BaseScore(state, word, out) * math.log(10.0))
            if place and out not in number:
                number[out] = len(states)
                states.append(out)
            after.append(number[out] if place else 0)
        log_probs.append(row)
        following.append(after)
        if len(states) * len(words) > MOST_ENTRIES:
            raise UserError(f"--lm {path} has too many states for a table: take a lower order, or prune it")
    return LanguageTable(np.array(log_probs, np.float32), np.array(following, np.int32))


def _package() -> Any:
    try:
        import kenlm
    except ImportError:
        raise UserError(
            "--lm needs the package kenlm (and to build it, a C++ compiler): pip install 'jfewshot[lm]'"
        ) from None
    return kenlm


def lm_text(units: Units, numbers: list[int]) -> str:
    """Write a transcript as a line for `lmplz`."""
    symbols = (units.symbols[number - 1] for number in numbers)
    return " ".join(SPACE if symbol == " " else symbol for symbol in symbols)
