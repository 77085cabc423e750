"""The interface between the pipeline and a dataset: where its recordings are, and the class, group and split of
each."""

import dataclasses
import typing
from pathlib import Path

if typing.TYPE_CHECKING:
    from jfewshot.audio import Stretch


@dataclasses.dataclass(frozen=True)
class Recording:
    """One labelled recording of a dataset, or one labelled stretch of a recording.

    Attributes:
      clip_id: names it for good, on every machine: usually the path below the dataset's folder, with forward slashes.
      path: the audio file.
      label: its class.
      group: what must not be on both sides of an episode if the user says so: speaker, source recording, site; may be
        empty.
      split: `train`, `validation` or `test` where the dataset's classes are split; may be empty.
      start_s, end_s: the stretch of the file that the clip is, in seconds; None for the whole file.
      left_out: why it is not to be used (a filter of the paper's, a file that its metadata names and that is not
        there); empty for a recording to be used. The store's manifest lists left-out recordings with this reason.
      further: pairs of name and text for the further columns of the clip table (site, microphone), the same names for all
        recordings of a dataset.
    """

    clip_id: str
    path: Path
    label: str
    group: str = ""
    split: str = ""
    left_out: str = ""
    start_s: float | None = None
    end_s: float | None = None
    further: tuple[tuple[str, str], ...] = ()

    @property
    def audio(self) -> "Path | Stretch":
        """What is decoded."""
        from jfewshot.audio import Stretch  # loaded late: options need columns, and `--help` needs no NumPy

        if self.start_s is None or self.end_s is None:
            return self.path
        return Stretch(self.path, self.start_s, self.end_s)


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Facts about a dataset that are known before its folder is read.

    Attributes:
      name: the store's folder, `esc50` say.
      title: what people call it.
      licence: of the audio.
      source: where to get it.
      citation: how its authors want to be cited.
      n_clips: how many recordings the whole dataset gives, filters applied; None if that is not published.
      n_classes: likewise, classes.
      group_is: what a group is, in a few words (`speaker`); empty if it has none.
      class_list: its key in `jfewshot/data/class_splits.json`, which names its classes; empty if it is not there.
      altered: of altered copies of a dataset, what was done (`of`, `kind`, `value`); None for recordings as they are.
    """

    name: str
    title: str
    licence: str
    source: str
    citation: str
    n_clips: int | None = None
    n_classes: int | None = None
    group_is: str = ""
    class_list: str = ""
    altered: dict[str, str | float] | None = None


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns of a table (`table:`, `hf:`, `csv:`), or which tier, hold what."""

    audio: str | None = None
    """Column of the audio files, for datasets table:PATH and hf:FOLDER. Without this option, path or file_name of a table,
    and the one column of type Audio of an hf: folder."""
    label: str | None = None
    """Column of the class (of lhotse a field, of Kaldi a file such as utt2lang, of audformat a scheme). Without this option,
    label or class."""
    group: str | None = None
    """Column of what must not be on both sides of an episode, for instance speaker or site. Without this option, group, if
    there is such a column."""
    split: str | None = None
    """Column of the split. Without this option, split, if there is such a column; the parts of a saved DatasetDict are
    splits."""
    start: str | None = None
    """Column of where a clip begins in its file, in seconds. Without this option, start_s, if there is such a column. A clip
    is then a stretch of a recording, and not the whole file."""
    end: str | None = None
    """Column of where a clip ends in its file, in seconds. Without this option, end_s, if there is such a column."""
    tier: str | None = None
    """Tier of the class, for datasets textgrid:FOLDER and elan:FOLDER. Without this option, the only tier of intervals."""
    further: tuple[str, ...] = ()
    """Further columns to keep in the store, for instance site and microphone, for datasets that have columns, fields, files
    or schemes. `jfewshot run --support-where site=A --query-where site=B` then draws support and query clips by them.
    Without this option, none; frequency bounds of annotations are always kept, as low_hz and high_hz."""


@typing.runtime_checkable
class Dataset(typing.Protocol):
    """A dataset: what it is, and how its folder is read."""

    @property
    def info(self) -> DatasetInfo:
        """What the dataset is."""
        ...

    def recordings(self, root: Path) -> list[Recording]:
        """Every recording below `root`, the folder as its publisher lays it out, in the order of clip ids.

        Raises:
          UserError: if `root` does not look like this dataset; says what is missing and how the folder must look.
        """
        ...
