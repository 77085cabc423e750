"""What a try recommends, in a file that `jfewshot fit --from` reads."""

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
    """What a try recommends.

    Attributes:
      encoder: name of the best encoder.
      load: how it is loaded.
      classifier: as `jfewshot run` takes it, with one strength.
      view: the array of the store.
      store: folder of the embeddings, below the try's.
      shots: labels per class that the recommendation is about.
      accuracy: at these, of the evaluation.
      segment: length of the pieces that clips are cut into.
      group_from: how groups were made from file names; None for not at all.
      also: folders that were merged with the first one.
      cautions: what was found in the data that makes numbers look better than they are.
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
    """Keep what the answer recommends.

    Args:
      out: folder of the try.
      board: the leaderboard that the answer is about; its best encoder is the first.
      loaded: how each encoder is loaded, by its name.
      options: of the try.
      found: the clips.
      cautions: what was found in the data.
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
    """What a try recommends.

    Args:
      folder: of the try.

    Raises:
      UserError: if the folder holds no finished try, or its file is damaged.
    """
    file = folder / RECOMMENDED
    again = "run `jfewshot try` again"
    try:
        found = decode_json(file.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no finished try (no {RECOMMENDED} is there); {again}") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}); {again}") from error
    except UserError as error:
        raise UserError(f"{file} is truncated or not JSON ({error}); {again}") from error
    try:
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise msgspec.ValidationError(f"its format is not '{_FORMAT}'")
        return msgspec.convert(found, Recommended)
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{file} does not say what a try recommends: {error}; {again}") from error


def classifier_of(record: Mapping[str, Any]) -> str:
    """A record's classifier as users write it: `ridge:alpha=auto`."""
    identity = record["identity"]
    settings = [f"{name}={value}" for name, value in identity["classifier"].items() if name != "name"]
    strength = identity.get("strength")
    if strength:
        settings.append(f"{strength['name']}={strength['value']}")
    return ":".join([identity["classifier"]["name"], *settings])
