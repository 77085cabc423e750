"""Checkpoints of torch: found, read without running anybody's code, and compared with the network that they fill."""

import argparse
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file

# The true one: while s3prl builds an encoder, `torch.load` is another (s3prl/weights.py).
torch_load = torch.load


def own_checkpoint(name: str, checkpoint: Path | None) -> Path | None:
    """What the user gave for this encoder: a file; or, in a folder for several, the file or folder named after it.

    Raises:
      UserError: nothing there, or two that could be meant.
    """
    if checkpoint is None:
        return None
    path = Path(checkpoint).expanduser()
    if not path.exists():
        raise UserError(f"there is no checkpoint {checkpoint}")
    if path.is_dir():
        own = sorted(entry for entry in path.iterdir() if name in (entry.name, entry.stem))
        if len(own) > 1:
            raise UserError(f"{path} has {' and '.join(entry.name for entry in own)} for {name}; keep one")
        path = own[0] if own else path
    return path.resolve()


def encoder_checkpoint(name: str, checkpoint: Path | None, file: str) -> Path | None:
    """The one file of an encoder that the user gave: by itself, or in a folder under the encoder's name or its published one.

    Args:
      name: of the encoder.
      checkpoint: file or folder; None where the user gave none.
      file: the published name of the file.

    Returns:
      the file; None where the user gave none.

    Raises:
      UserError: nothing there, or a folder without such a file.
    """
    path = own_checkpoint(name, checkpoint)
    if path is None or not path.is_dir():
        return path
    if not (path / file).is_file():
        raise UserError(f"{path} has no file for {name}; put {file} there, or name it {name}{Path(file).suffix}")
    return path / file


def weights_revision(path: Path, autocast: str) -> str:
    """The revision of the weights in a file, with half precision if it is used."""
    return f"sha256:{sha256_of_file(path)}" + (f" {autocast}" if autocast != "none" else "")


def read_checkpoint(path: Path, trusted: bool, harmless: Sequence[tuple[type, str]] = ()) -> Any:
    """Read a torch file onto the CPU; without `trusted`, only tensors and plain data are accepted.

    Args:
      path: the file.
      trusted: whether objects of any class may be made.
      harmless: classes that stand for others, each with the name in the file for which it stands.

    Returns:
      what the file holds.

    Raises:
      UserError: not a torch file, or one that holds other objects, whose unpickling can run any code.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *harmless]):
            return torch_load(path, map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        found = re.findall(r"GLOBAL ([\w.]+)", str(error))
        if not found:
            raise _damaged(path, error) from error
        raise UserError(
            f"{path} holds Python objects beside its numbers ({', '.join(dict.fromkeys(found))}), and reading those can run "
            "any code. If you trust where the file comes from, pass --trust-checkpoint"
        ) from error
    except (EOFError, RuntimeError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [""])[0][:120]
    return UserError(
        f"{path} is not a torch checkpoint, or it is damaged ({type(error).__name__}: {reason}); fetch it again"
    )


def fill(name: str, network: torch.nn.Module, saved: Mapping[str, Any], path: Path) -> list[str]:
    """Give a network the tensors of a file, all of them.

    Args:
      name: the upstream's, for the message.
      network: what is filled.
      saved: the file's tensors by name.
      path: the file.

    Returns:
      Names of the file's tensors that the network has no use for.

    Raises:
      UserError: tensors that the file lacks, or that do not fit, by name.
    """
    here = network.state_dict()
    fitting = {
        key: value
        for key, value in saved.items()
        if key in here and isinstance(value, torch.Tensor) and value.shape == here[key].shape
    }
    network.load_state_dict(fitting, strict=False)
    return check_arrived(name, network, dict(saved), path)


def check_arrived(name: str, module: torch.nn.Module, saved: dict[str, torch.Tensor], path: Path) -> list[str]:
    """Compare a module with the file that it should have been filled from.

    Args:
      name: the upstream's, for the message.
      module: after loading.
      saved: the file's tensors, under the names that the module should have found.
      path: the file.

    Returns:
      Names of the file's tensors that the module has no use for.

    Raises:
      UserError: tensors that the file lacks, or that did not arrive in the module, by name.
    """
    here = module.state_dict()
    missing = sorted(here.keys() - saved.keys())
    strange = sorted(key for key in here.keys() & saved.keys() if not _same(here[key], saved[key]))
    if missing or strange:
        raise UserError(
            f"{path} does not fill {name}: of {len(here)} tensors {len(missing)} are missing ({first_few(missing)}) and "
            f"{len(strange)} did not fit ({first_few(strange)}); the file has {len(saved)} ({first_few(sorted(saved))}). "
            f"Is it a checkpoint of another encoder, or damaged?"
        )
    return sorted(saved.keys() - here.keys())


def _same(ours: torch.Tensor, theirs: Any) -> bool:
    if not isinstance(theirs, torch.Tensor) or ours.shape != theirs.shape:
        return False
    return torch.equal(ours.cpu(), theirs.to(ours.dtype))


def first_few(names: list[str], count: int = 3) -> str:
    """The first names of a list and how many more there are; 'none' for an empty one."""
    if not names:
        return "none"
    rest = f", and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + rest
