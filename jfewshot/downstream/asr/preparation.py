"""Prepares a dataset for trials: folds, units, and the utterances that cannot be used, with reasons."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from jfewshot.audio import AudioError, duration_s
from jfewshot.downstream.asr.batches import Transcripts
from jfewshot.downstream.asr.config import AsrConfig
from jfewshot.downstream.asr.datasets import AsrData, Utterance, read_dataset
from jfewshot.downstream.asr.datasets.base import check_texts
from jfewshot.downstream.asr.units import Units, encode_all, learn_pieces, learn_units, read_pieces, shape_text
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.left_out import leave_out_named
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Division:
    """One fold, with its units and transcripts.

    Attributes:
      number, of: number of the fold from 0, and number of all folds.
      fold: which utterances train, choose checkpoints and test.
      units: units of the training transcripts.
      transcripts: transcript of each utterance in these units; empty for utterances with other units and for utterances that
        are not in the fold.
    """

    number: int
    of: int
    fold: Fold
    units: Units
    transcripts: Transcripts


def chosen_data(config: AsrConfig) -> AsrData:
    """Read the dataset with its texts in the chosen form, without the utterances that the user leaves out.

    Raises:
      UserError: an unknown utterance in --leave-out, or a text that the chosen form leaves empty.
    """
    parts = config.train_parts, config.dev_parts, config.test_parts
    data = leave_out_named(read_dataset(config.dataset, config.root, parts), config.leave_out)
    if config.text != "as_is":
        shaped = tuple(dataclasses.replace(each, text=shape_text(each.text, config.text)) for each in data.utterances)
        data = dataclasses.replace(data, utterances=shaped)
        check_texts(f"{data.title} (--text {config.text})", data.utterances)
    return data


def make_divisions(data: AsrData, config: AsrConfig, unusable: dict[str, str]) -> list[Division]:
    """Make every fold that is to be run, with its units and transcripts.

    Args:
      data: the utterances, from `chosen_data`.
      config: gives the units and the folds.
      unusable: receives the name of each utterance whose transcript has a unit that the training lacks, and the reason.

    Returns:
      a division for each fold.

    Raises:
      UserError: if a fold of --only-folds does not exist, or the units cannot be made.
    """
    folds = data.folds(config.n_folds, config.folds)
    wrong = [number for number in config.only_folds if not 0 <= number < len(folds)]
    if wrong:
        raise UserError(f"--only-folds {wrong[0]}: {data.title} has folds 0 to {len(folds) - 1}")
    divisions = []
    for number in config.only_folds or range(len(folds)):
        fold, texts = folds[number], [each.text for each in data.utterances]
        units = _units(config, [texts[each] for each in fold.training])
        members = np.concatenate([fold.training, fold.development, fold.test])
        names = [data.utterances[each].name for each in members]
        encoded = encode_all(units, names, [texts[each] for each in members], unusable.__setitem__)
        found: list[Sequence[int]] = [()] * len(texts)
        for member, each in zip(members, encoded, strict=True):
            found[member] = each
        divisions.append(Division(number, len(folds), fold, units, Transcripts(found)))
    return divisions


def _units(config: AsrConfig, texts: Sequence[str]) -> Units:
    if config.unit_kind != "pieces":
        return learn_units(config.unit_kind, texts, config.characters)
    return read_pieces(config.sentencepiece) if config.sentencepiece else learn_pieces(texts, config.n_pieces)


def header_samples(utterances: Sequence[Utterance], rate: int, unusable: dict[str, str]) -> Int[np.ndarray, " n"]:
    """Read from the files' headers how many samples each utterance has.

    Args:
      utterances: the utterances.
      rate: sample rate in Hz at which the samples are counted.
      unusable: receives the name of each utterance whose file cannot be read, and the reason.

    Returns:
      number of samples of each utterance; 0 if its file cannot be read.
    """
    found = np.zeros(len(utterances), np.int64)
    for number, each in enumerate(utterances):
        try:
            found[number] = int(duration_s(each.path) * rate)
        except AudioError as error:
            unusable[each.name] = error.reason
    return found


def note_too_short(
    data: AsrData,
    divisions: Sequence[Division],
    n_frames: Int[np.ndarray, " n"],
    unusable: dict[str, str],
    heard: str,
) -> None:
    """Find utterances that have too few frames for CTC, which needs one for each unit and one between equal neighbours.

    Args:
      data: the utterances.
      divisions: the folds with their transcripts.
      n_frames: number of frames of each utterance that CTC receives; 0 if it is not known.
      unusable: receives the name of each utterance that is too short, and the reason.
      heard: what receives the frames, for the message.
    """
    for division in divisions:
        for number, units in enumerate(division.transcripts.units):
            needed = len(units) + sum(a == b for a, b in itertools.pairwise(units))
            if 0 < n_frames[number] < needed:
                unusable[data.utterances[number].name] = (
                    f"too short for its transcript: {heard} gets {n_frames[number]} frames of it, "
                    f"{len(units)} units need {needed}"
                )


def without(divisions: Sequence[Division], keep: Callable[[int], bool], title: str) -> list[Division]:
    """Leave out of the folds the utterances that cannot be used.

    Args:
      divisions: the folds with their units and transcripts.
      keep: from an utterance's number to whether it is kept.
      title: title of the dataset, for the message.

    Returns:
      the same divisions with smaller folds.

    Raises:
      UserError: if nothing is left of a fold to train on, to choose on or to test on.
    """
    found = []
    for division in divisions:
        fold = division.fold
        parts = [
            np.array([each for each in part if keep(each)], np.int64)
            for part in (fold.training, fold.development, fold.test)
        ]
        if not all(len(part) for part in parts):
            raise UserError(f"the fold of {title} that tests {fold.name} has nothing left to train, choose or test")
        found.append(dataclasses.replace(division, fold=Fold(fold.name, *parts)))
    return found
