"""Datasets behind one small interface (`base.Dataset`): the table of contents, by the names that users write.

Each value is `module:factory`, imported when it is asked for. A factory of `DATASETS` takes nothing; one of
`FAMILIES` takes what stands behind the colon (`folder:birds`, `table:clips.csv`) and which columns hold what.

- `base`: what the pipeline asks of a dataset
- `layout`: reading a publisher's folder
- `filters`: clips of formats that are not read, and the few-shot paper's filters
- `splits`: the few-shot paper's split of classes
- `esc`, `nsynth`, `fsdkaggle`, `voxceleb`, `birdclef`, `speech_commands`, `watkins`, `crema_d`: the few-shot paper's datasets
- `speech_accent_archive`, `common_voice`: the last two of the paper's
- `fsdd`: spoken digits
- `own`: class folders, or a table of paths and labels
- `annotations`: labelled stretches of long recordings, from the files of annotation programs
- `annotation_files`: Raven's and Audacity's files, read and written
- `annotation_tables`: annotations in CSV files
- `for_windows`: labelled stretches for recordings that are known by their names alone
- `elan_times`: when ELAN's annotations begin and end that have no times of their own
- `tiers`: tiers of Praat's TextGrids and of ELAN's files
- `background`: windows of annotated recordings that hold no annotation
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
    # The few-shot paper's ten (a page for each in docs/datasets)
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
    # Small ones that the sample stores are made of
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
# Families whose files have columns of the user's.
_WITH_COLUMNS = ("table", "hf", "raven", "csv", "kaldi", "lhotse", "audformat")


def dataset_names(asked: Sequence[str]) -> list[str]:
    """Names as `load_dataset` takes them: `paper` becomes the paper's ten; nothing is named twice."""
    return list(dict.fromkeys(name for given in asked for name in (PAPERS_TEN if given == "paper" else (given,))))


def load_dataset(name: str, columns: Columns | None = None) -> Dataset:
    """The dataset of that name.

    Args:
      name: a name of `DATASETS`, a family and what it takes (`folder:NAME`, `table:PATH`, `raven:FOLDER`), or the import path
        of a factory of one's own (`my_module:my_dataset`, which takes nothing and gives a `base.Dataset`).
      columns: of a table; None for the usual names.

    Raises:
      UserError: for an unknown name, with the nearest ones, or for further columns of a dataset that has no table.
    """
    family, colon, rest = name.partition(":")
    if columns is not None and columns.further and (name in DATASETS or family not in _WITH_COLUMNS):
        raise UserError(
            f"--column.further names '{columns.further[0]}', and dataset '{name}' has no table with columns of the user's; list "
            "its clips in a table (--datasets table:PATH) to keep further columns"
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
            f"cannot import dataset '{name}': {error}. Run from the folder that holds the module"
        ) from error
    if not isinstance(dataset, Dataset):
        raise UserError(
            f"'{name}' gives {type(dataset).__name__}, which has no info or recordings (extraction.datasets.base)"
        )
    return dataset
