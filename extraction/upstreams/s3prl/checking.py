"""Check that a file belongs to an encoder, and that the encoder computes with the weights in the file."""

import logging
import re
from pathlib import Path

from extraction.upstreams.paper_table import paper_table
from extraction.upstreams.s3prl.paper import Kind
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

# Functions of s3prl's hub with these endings need a file: the user's own training of a known architecture.
WANTS_FILE = ("_local", "_custom")


def check_format(name: str, kind: Kind, contents: object, path: Path) -> None:
    """Refuse a file that lacks a key which all files of the encoder have.

    Args:
      name: name of the upstream, for the message.
      kind: requirements for the upstream's files.
      contents: contents of the file as torch loads it.
      path: the file, for the message.

    Raises:
      UserError: if keys are missing; the message names the keys that the file has and needs.
    """
    has = sorted(map(str, contents)) if isinstance(contents, dict) else [type(contents).__name__]
    missing = [key for key in kind.top_level if key not in has]
    if not missing:
        return
    hint = ""
    if "args" in has or "task_state" in has:
        hint = " It looks like fairseq's original file; s3prl needs the converted file, which it downloads itself."
    raise UserError(
        f"{path} is not a checkpoint of {name}: it lacks {', '.join(missing)}, and has {', '.join(has[:8])}.{hint}"
    )


def check_weights(name: str, kind: Kind, expert, files) -> None:
    """Check that the expert computes with the weights in the file.

    s3prl does not check this: DeCoAR 2.0 accepts a file without a single fitting tensor, and TERA and Mockingjay only print the
    names of missing tensors.

    Args:
      name: name of the upstream, for messages.
      kind: requirements for the upstream's files.
      expert: s3prl's loaded expert.
      files: the files that the expert has read, with their contents.

    Raises:
      UserError: if tensors are missing or differ, with their names, or if the file belongs to another variant.
    """
    from extraction.upstreams.s3prl import weights
    from extraction.upstreams.torch_checkpoint import check_arrived, first_few

    path, contents = next(reversed(files.read.items()))
    check_format(name, kind, contents, path)
    saved = weights.tensors_of(contents, kind.weights)
    unused = check_arrived(name, expert.get_submodule(kind.filled), saved, path)
    if unused:
        log.info("%s: %d tensors of %s are not used: %s", name, len(unused), path, first_few(unused))
    if kind.quantizer and not name.endswith(WANTS_FILE):
        prefix, wanted = kind.quantizer
        found = any(key.startswith(prefix) for key in saved)
        if found != wanted:
            with_or_without = ("without", "with")
            raise UserError(
                f"{path} is not a checkpoint of {name}: it holds the model {with_or_without[found]} quantization, and "
                f"{name} is the one {with_or_without[wanted]}"
            )


def warn_of_another_variant(name: str, n_states: int, dim: int) -> None:
    """Warn if an encoder under the paper's name does not have the paper's size, such as s3prl's 12-layer Mockingjay.

    Args:
      name: name of the upstream.
      n_states: number of hidden states of the loaded encoder.
      dim: dimension of its hidden states.
    """
    for row in paper_table():
        if row["name"] == name and (n_states, dim) != (int(row["layers"]), int(row["dim"])):
            log.warning(
                "%s: this checkpoint gives %d hidden states of %d, and the paper's has %s of %s; is it another variant?",
                name,
                n_states,
                dim,
                row["layers"],
                row["dim"],
            )


def explain(error: BaseException) -> str:
    """Describe an error in one line: its innermost cause, with long lists of tensors shortened."""
    while error.__context__ is not None and not str(error).startswith("Error(s)"):
        error = error.__context__
    text = re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")
    lists = re.sub(r'((?:"[^"]*", ){3})(?:"[^"]*",? ?)+', r"\1... ", text)
    return lists if len(lists) < 600 else lists[:600] + " ..."
