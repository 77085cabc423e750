"""Write the recommendation of a try to a file, and read it for `jfewshot fit --from`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from extraction.trying.finding import Found
from extraction.trying.options import TryOptions
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.json_values import decode_json

if TYPE_CHECKING:
    from jfewshot.reporting.leaderboard import Leaderboard

RECOMMENDED = "recommended.json"
_FORMAT = "jfewshot-try"
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Recommended(msgspec.Struct, frozen=True):
    """The recommendation of a try.

    Attributes:
      encoder: name of the best encoder.
      load: name with which `load_upstream` loads the encoder.
      classifier: the classifier with one strength, as `jfewshot run` takes it.
      view: name of the store's array.
      store: folder of the embeddings, relative to the folder of the try.
      shots: number of labels per class for which the recommendation was computed.
      accuracy: accuracy of the evaluation with this number of labels.
      segment: length of the pieces into which clips are cut.
      group_from: rule that made groups from file names; None if no rule was given.
      also: folders that were merged with the first one.
      cautions: problems of the data that make the accuracy look better than it is.
    """

    encoder: _Text
    load: _Text
    classifier: _Text
    view: _Text
    store: _Text
    shots: int
    accuracy: float
    segment: _Text
    group_from: str | None
    also: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def write_recommended(
    out: Path,
    board: "Leaderboard",
    loaded: dict[str, str],
    options: TryOptions,
    found: Found,
    cautions: Sequence[str],
) -> None:
    """Write the recommendation to a file.

    Args:
      out: folder of the try.
      board: the leaderboard behind the answer; its best encoder is the first.
      loaded: by the name of an encoder, the name with which `load_upstream` loads it.
      options: options of the try.
      found: the clips.
      cautions: problems that were found in the data.
    """
    record = board.cells[0, 0]
    name = record["upstream"]["name"]
    recommended = Recommended(
        encoder=name,
        load=loaded[name],
        classifier=classifier_of(record),
        view=record["view"]["name"],
        store=(Path("stores") / found.name / name).as_posix(),
        shots=int(board.condition["protocol"]["k_shot"]),
        accuracy=float(record["accuracy"]["mean"]),
        segment=options.segment,
        group_from=options.group_from,
        also=tuple(str(path.expanduser().resolve()) for path in options.also),
        cautions=tuple(cautions),
    )
    with atomic_write(out / RECOMMENDED, "w") as file:
        json.dump({"format": _FORMAT, **msgspec.structs.asdict(recommended)}, file, indent=2, ensure_ascii=False)
        file.write("\n")


def read_recommended(folder: Path) -> Recommended:
    """Read the recommendation of a try.

    Args:
      folder: folder of the try.

    Raises:
      UserError: if the folder holds no finished try, or its file is damaged.
    """
    file = folder / RECOMMENDED
    again = "run `jfewshot try` again"
    try:
        found = decode_json(file.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no finished try ({RECOMMENDED} is missing); {again}") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}); {again}") from error
    except UserError as error:
        raise UserError(f"{file} is truncated or not JSON ({error}); {again}") from error
    try:
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise msgspec.ValidationError(f"its format is not '{_FORMAT}'")
        return msgspec.convert(found, Recommended)
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{file} is not a valid recommendation: {error}; {again}") from error


def classifier_of(record: Mapping[str, Any]) -> str:
    """A record's classifier in the form of the command line: `ridge:alpha=auto`."""
    identity = record["identity"]
    settings = [f"{name}={value}" for name, value in identity["classifier"].items() if name != "name"]
    strength = identity.get("strength")
    if strength:
        settings.append(f"{strength['name']}={strength['value']}")
    return ":".join([identity["classifier"]["name"], *settings])
