"""Datasets, all with the same interface (`base.Dataset`). This module maps the names that users write to datasets.

Each value of `DATASETS` and `FAMILIES` is `module:factory`, and the module is imported only when a user names the dataset. A
factory of `DATASETS` has no arguments. A factory of `FAMILIES` takes the text after the colon (`folder:birds`,
`table:clips.csv`) and the names of the user's columns.

- `base`: the interface between the pipeline and a dataset
- `layout`: reads a publisher's folder
- `filters`: leaves out clips in unreadable formats, overlapping stretches, and the clips that the few-shot paper filters out
- `splits`: the few-shot paper's split of classes
- `esc`, `nsynth`, `fsdkaggle`, `voxceleb`, `birdclef`, `speech_commands`, `watkins`, `crema_d`: the few-shot paper's datasets
- `speech_accent_archive`, `common_voice`: the last two of the paper's datasets
- `fsdd`: spoken digits
- `own`: class folders, or a table of paths and labels
- `annotations`: labelled stretches of long recordings, from the files of annotation programs
- `annotation_files`: reads and writes the files of Raven and Audacity
- `annotation_tables`: reads annotations from CSV files
- `for_windows`: labelled stretches for recordings of which only the names are known
- `elan_times`: computes when ELAN's annotations without own times begin and end
- `tiers`: reads tiers of Praat's TextGrids and of ELAN's files
- `background`: windows of annotated recordings without any annotation
- `kaldi`: a data folder of Kaldi
- `lhotse_manifest`: cuts or supervisions of lhotse
- `audformat_database`: a database in audformat
- `hugging_face`: a folder that Hugging Face's `datasets` wrote
"""

import difflib
import importlib
from collections.abc import Sequence

from extraction.datasets.base import Columns, Dataset
from jfewshot.errors import UserError

DATASETS: dict[str, str] = {
    # The ten datasets of the few-shot paper (docs/datasets has a page for each)
    "esc50": "extraction.datasets.esc:esc50",
    "nsynth": "extraction.datasets.nsynth:nsynth",
    "fsdkaggle18": "extraction.datasets.fsdkaggle:fsdkaggle18",
    "voxceleb1": "extraction.datasets.voxceleb:voxceleb1",
    "birdclef2020": "extraction.datasets.birdclef:birdclef2020",
    "scv2": "extraction.datasets.speech_commands:scv2",
    "watkins": "extraction.datasets.watkins:watkins",
    "crema_d": "extraction.datasets.crema_d:crema_d",
    "saa": "extraction.datasets.speech_accent_archive:saa",
    "commonvoice": "extraction.datasets.common_voice:commonvoice",
    # Small datasets, from which the sample stores are made
    "esc10": "extraction.datasets.esc:esc10",
    "fsdd_digits": "extraction.datasets.fsdd:fsdd_digits",
    "fsdd_speakers": "extraction.datasets.fsdd:fsdd_speakers",
    "arabic_commands": "extraction.datasets.speech_commands:arabic_commands",
}

PAPERS_TEN = (
    "esc50",
    "nsynth",
    "fsdkaggle18",
    "voxceleb1",
    "birdclef2020",
    "scv2",
    "watkins",
    "crema_d",
    "saa",
    "commonvoice",
)

FAMILIES: dict[str, str] = {
    "folder": "extraction.datasets.own:class_folders",
    "table": "extraction.datasets.own:table",
    "hf": "extraction.datasets.hugging_face:saved_to_disk",
    "raven": "extraction.datasets.annotations:raven",
    "audacity": "extraction.datasets.annotations:audacity",
    "textgrid": "extraction.datasets.annotations:textgrid",
    "elan": "extraction.datasets.annotations:elan",
    "csv": "extraction.datasets.annotations:csv",
    "kaldi": "extraction.datasets.kaldi:kaldi",
    "lhotse": "extraction.datasets.lhotse_manifest:lhotse_manifest",
    "audformat": "extraction.datasets.audformat_database:audformat_database",
}
# Families whose files have columns that the user can name.
_WITH_COLUMNS = ("table", "hf", "raven", "csv", "kaldi", "lhotse", "audformat")


def dataset_names(asked: Sequence[str]) -> list[str]:
    """Replace the name `paper` by the names of the paper's ten datasets, and remove repeated names."""
    return list(dict.fromkeys(name for given in asked for name in (PAPERS_TEN if given == "paper" else (given,))))


def load_dataset(name: str, columns: Columns | None = None) -> Dataset:
    """Load the dataset with a name.

    Args:
      name: a name of `DATASETS`, a family and its argument (`folder:NAME`, `table:PATH`, `raven:FOLDER`), or the import path
        of the user's own factory (`my_module:my_dataset`, a function without arguments that returns a `base.Dataset`).
      columns: names of columns; None for the usual names.

    Raises:
      UserError: if the name is unknown (the message gives similar names), or if further columns are named for a dataset
          without columns.
    """
    family, colon, rest = name.partition(":")
    if columns is not None and columns.further and (name in DATASETS or family not in _WITH_COLUMNS):
        raise UserError(
            f"--column.further names '{columns.further[0]}', but dataset '{name}' has no table with further columns; list its "
            "clips in a table (--datasets table:PATH) to keep further columns"
        )
    if name in DATASETS:
        return _load(DATASETS[name])()
    if colon and family in FAMILIES:
        return _load(FAMILIES[family])(rest, columns or Columns())
    if colon and all(part.isidentifier() for part in [*family.split("."), rest]):
        return _load_own(name)
    near = difflib.get_close_matches(name, DATASETS, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UserError(
        f"unknown dataset '{name}': {hint}there are {', '.join(DATASETS)}, folder:NAME, table:PATH, lhotse:FILE and "
        f"{', '.join(f'{family}:FOLDER' for family in FAMILIES if family not in ('folder', 'table', 'lhotse'))}"
    )


def _load(target: str):
    module_name, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module_name), attribute)


def _load_own(name: str) -> Dataset:
    try:
        dataset = _load(name)()
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(
            f"cannot import dataset '{name}': {error}. Run the command in the folder that holds the module"
        ) from error
    if not isinstance(dataset, Dataset):
        raise UserError(
            f"'{name}' returns {type(dataset).__name__}, which has no info or recordings (extraction.datasets.base)"
        )
    return dataset
