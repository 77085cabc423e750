"""Find torch's checkpoints, read them without running foreign code, and compare them with the network that they fill."""

import argparse
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file

# The original function: while s3prl builds an encoder, `torch.load` is replaced (s3prl/weights.py).
torch_load = torch.load


def own_checkpoint(name: str, checkpoint: Path | None) -> Path | None:
    """The user's checkpoint for this encoder: a file, or the file or folder with the encoder's name in a folder for several.

    Raises:
      UserError: if there is no such file or folder, or if two of them have the encoder's name.
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
    """The user's file for an encoder with a single file. In a folder, the file has the encoder's name or its published name.

    Args:
      name: name of the encoder.
      checkpoint: the user's file or folder; None if the user named none.
      file: published name of the file.

    Returns:
      the file; None if the user named none.

    Raises:
      UserError: if there is no such file or folder, or if the folder has no such file.
    """
    path = own_checkpoint(name, checkpoint)
    if path is None or not path.is_dir():
        return path
    if not (path / file).is_file():
        raise UserError(f"{path} has no file for {name}; put {file} there, or name it {name}{Path(file).suffix}")
    return path / file


def weights_revision(path: Path, autocast: str) -> str:
    """The revision of the weights in a file, including half precision if it is used."""
    return f"sha256:{sha256_of_file(path)}" + (f" {autocast}" if autocast != "none" else "")


def read_checkpoint(path: Path, trusted: bool, harmless: Sequence[tuple[type, str]] = ()) -> Any:
    """Read a torch file onto the CPU; without `trusted`, only tensors and plain data are accepted.

    Args:
      path: the file.
      trusted: whether objects of any class may be created.
      harmless: classes to use instead of classes in the file, each with the name of the class that it replaces.

    Returns:
      the contents of the file.

    Raises:
      UserError: if the file is no torch file, or if it holds other objects, since unpickling these can run any code.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *harmless]):
            return torch_load(path, map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        found = re.findall(r"GLOBAL ([\w.]+)", str(error))
        if not found:
            raise _damaged(path, error) from error
        raise UserError(
            f"{path} holds Python objects in addition to its numbers ({', '.join(dict.fromkeys(found))}), and reading those can "
            "run any code. If you trust where the file comes from, pass --trust-checkpoint"
        ) from error
    except (EOFError, RuntimeError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [""])[0][:120]
    return UserError(
        f"{path} is not a torch checkpoint, or it is damaged ({type(error).__name__}: {reason}); fetch it again"
    )


def fill(name: str, network: torch.nn.Module, saved: Mapping[str, Any], path: Path) -> list[str]:
    """Load all tensors of a file into a network.

    Args:
      name: name of the upstream, for the message.
      network: the network to fill.
      saved: the file's tensors by name.
      path: the file.

    Returns:
      names of the file's tensors that the network does not use.

    Raises:
      UserError: if tensors are missing in the file or do not fit; the message names them.
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
    """Compare a module with the file from which it should have been filled.

    Args:
      name: name of the upstream, for the message.
      module: the module after loading.
      saved: the file's tensors, under the names in the module.
      path: the file.

    Returns:
      names of the file's tensors that the module does not use.

    Raises:
      UserError: if tensors are missing in the file or differ in the module; the message names them.
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
    """The first names of a list and the number of the others; 'none' for an empty list."""
    if not names:
        return "none"
    rest = f", and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + rest
