"""The units of recognition: characters, words, phones or sentencepiece's pieces, as numbers.

Number 0 is not a unit: it is the blank of CTC, and begin and end for the decoder. The units are 1, 2, ...
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from jfewshot.downstream.timit_phones import fold_to_39
from jfewshot.errors import UserError

Kind = Literal["characters", "words", "phones", "pieces"]
TextForm = Literal["as_is", "lower", "plain"]
BLANK = 0


@dataclasses.dataclass(frozen=True)
class Units:
    """A set of units.

    Attributes:
      kind: how a text is divided into units.
      symbols: unit n is `symbols[n - 1]`.
      model: for pieces, the bytes of the sentencepiece model's file.
    """

    kind: Kind
    symbols: tuple[str, ...]
    model: bytes | None = dataclasses.field(default=None, repr=False)

    def __len__(self) -> int:
        """Number of units, the blank included."""
        return len(self.symbols) + 1

    def encode(self, text: str) -> list[int]:
        """Turn a text into numbers of units.

        Raises:
          UnknownUnit: if the text has another unit.
        """
        if self.kind == "pieces":
            found = self._processor().encode(text)
            unknown = self._processor().unk_id()
            if unknown in found:
                raise UnknownUnit(next((c for c in text if unknown in self._processor().encode(c)), text))
            return [number + 1 for number in found]
        place = self._places()
        parts = list(text) if self.kind == "characters" else text.split()
        for part in parts:
            if part not in place:
                raise UnknownUnit(part)
        return [place[part] for part in parts]

    def decode(self, numbers: Iterable[int]) -> str:
        """Turn numbers of units into a text."""
        if self.kind == "pieces":
            return self._processor().decode([int(number) - 1 for number in numbers])
        glue = "" if self.kind == "characters" else " "
        return " ".join(glue.join(self.symbols[int(number) - 1] for number in numbers).split())

    def scored(self, text: str) -> str:
        """A text in the form in which it is compared: phones are replaced by the 39 scored phones."""
        return " ".join(fold_to_39(text.split())) if self.kind == "phones" else text

    def _places(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols, 1)}

    def _processor(self) -> Any:
        return _processor(self.model)

    def record(self) -> dict[str, Any]:
        """Everything about the units that a result depends on, as JSON."""
        return {"kind": self.kind, "symbols": list(self.symbols)}


class UnknownUnit(ValueError):
    """A text has a unit that is not among the units; the error's text is this unit."""


def shape_text(text: str, form: TextForm) -> str:
    """Change a transcript to the form in which it is trained on and compared.

    Args:
      text: the transcript as it is written.
      form: `as_is` for no change; `lower` for small letters; `plain` for only small letters, digits and apostrophes.
    """
    if form == "as_is":
        return text
    text = text.lower()
    if form == "plain":
        text = re.sub(r"[^\w' ]|_", " ", text.replace("’", "'"))
    return " ".join(text.split())


def learn_units(kind: Kind, texts: Sequence[str], characters: str = "") -> Units:
    """Make the units of the training transcripts.

    Args:
      kind: characters, words or phones.
      texts: the training transcripts.
      characters: characters that are added although no training transcript may have them.

    Returns:
      the units, sorted.
    """
    parts = {part for text in texts for part in (text if kind == "characters" else text.split())} | set(characters)
    return Units(kind, tuple(sorted(parts)))


def learn_pieces(texts: Sequence[str], n_pieces: int) -> Units:
    """Find pieces in training transcripts with sentencepiece (unigram model).

    Raises:
      UserError: if sentencepiece is not installed, or cannot make as many pieces from the texts.
    """
    import io

    package, written = _package(), io.BytesIO()
    try:
        package.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=written, vocab_size=n_pieces, bos_id=-1, eos_id=-1, unk_id=0,
            character_coverage=1.0, num_threads=1, minloglevel=2, hard_vocab_limit=False,
        )  # fmt: skip
    except RuntimeError as error:
        raise UserError(f"sentencepiece cannot make {n_pieces} pieces of these transcripts: {error}") from None
    return pieces_of(written.getvalue())


def read_pieces(path: Path) -> Units:
    """Read the pieces of a sentencepiece model's file."""
    if not path.is_file():
        raise UserError(f"{path} is not there; give the .model file that sentencepiece wrote")
    return pieces_of(path.read_bytes())


def pieces_of(model: bytes) -> Units:
    """Read the pieces of a sentencepiece model from the bytes of its file."""
    processor = _processor(model)
    return Units("pieces", tuple(processor.id_to_piece(n) for n in range(processor.get_piece_size())), model)


_processors: dict[bytes | None, Any] = {}


def _processor(model: bytes | None) -> Any:
    if model not in _processors:
        try:
            _processors[model] = _package().SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise UserError(
                "that file is no sentencepiece model; give the .model file that sentencepiece wrote"
            ) from None
    return _processors[model]


def _package() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise UserError("--units pieces needs the package sentencepiece: pip install 'jfewshot[asr]'") from None
    return sentencepiece


def encode_all(units: Units, names: Sequence[str], texts: Sequence[str], unusable: Callable[[str, str], None]):
    """Turn many transcripts into numbers of units.

    Args:
      units: the units.
      names: names of the utterances, for `unusable`.
      texts: transcripts of the utterances.
      unusable: called with an utterance's name and the reason if its transcript is empty or has another unit.

    Returns:
      a list of numbers for each transcript; an empty list if the utterance is unusable.
    """
    found = []
    for name, text in zip(names, texts, strict=True):
        try:
            numbers = units.encode(text)
            if not numbers:
                unusable(name, "its transcript is empty")
        except UnknownUnit as unknown:
            numbers = []
            what = {"characters": "character", "words": "word", "phones": "phone", "pieces": "character"}[units.kind]
            unusable(name, f"its transcript has the {what} '{unknown}', which no training transcript has")
        found.append(numbers)
    return found
