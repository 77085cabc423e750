"""The interface between the pipeline and a dataset: the places of its recordings, and the class, group and split of each
recording."""

import dataclasses
import typing
from pathlib import Path

if typing.TYPE_CHECKING:
    from jfewshot.audio import Stretch


@dataclasses.dataclass(frozen=True)
class Recording:
    """One labelled recording of a dataset, or one labelled stretch of a recording.

    Attributes:
      clip_id: permanent name of the clip, the same on every machine: usually the path relative to the dataset's folder, with
        forward slashes.
      path: the audio file.
      label: class of the clip.
      group: speaker, source recording or site. With `--group-aware`, clips of one group are never on both sides of an episode.
        May be empty.
      split: `train`, `validation` or `test` if the dataset's classes are split; may be empty.
      start_s, end_s: beginning and end of the clip in the file, in seconds; None for the whole file.
      left_out: reason not to use the clip (a filter of the few-shot paper, or a file that is missing); empty for a clip to use.
        The store's manifest lists left-out clips with this reason.
      further: pairs of name and text for the further columns of the clip table (site, microphone). All recordings of a dataset
        have the same names.
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
        """The file or stretch to decode."""
        # Imported here and not above: options need `Columns` of this module, and `--help` is slow if it imports NumPy.
        from jfewshot.audio import Stretch

        if self.start_s is None or self.end_s is None:
            return self.path
        return Stretch(self.path, self.start_s, self.end_s)


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Facts about a dataset that are known before its folder is read.

    Attributes:
      name: name of the store's folder, for instance `esc50`.
      title: the dataset's usual name.
      licence: licence of the audio.
      source: address from which to get the dataset.
      citation: the citation that its authors ask for.
      n_clips: number of recordings of the whole dataset after filtering; None if it is not published.
      n_classes: number of classes of the whole dataset after filtering; None if it is not published.
      group_is: the meaning of a group in a few words (`speaker`); empty if the dataset has no groups.
      class_list: key of the list of its classes in `jfewshot/data/class_splits.json`; empty if there is no such list.
      altered: for altered copies of a dataset, the alteration (`of`, `kind`, `value`); None for unaltered recordings.
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
    """Names of the columns of a table (`table:`, `hf:`, `csv:`), or name of a tier."""

    audio: str | None = None
    """Column with the audio files, for datasets table:PATH and hf:FOLDER. Without this option, path or file_name of a table,
    and the only column of type Audio of an hf: folder."""
    label: str | None = None
    """Column with the class (for lhotse a field, for Kaldi a file such as utt2lang, for audformat a scheme). Without this
    option, label or class."""
    group: str | None = None
    """Column with the group, for instance speaker or site: clips of one group can be kept on one side of an episode. Without
    this option, group, if there is such a column."""
    split: str | None = None
    """Column with the split. Without this option, split, if there is such a column; the parts of a saved DatasetDict are
    splits."""
    start: str | None = None
    """Column with the beginning of a clip in its file, in seconds: a clip is then a stretch of a recording, and not the whole
    file. Without this option, start_s, if there is such a column."""
    end: str | None = None
    """Column with the end of a clip in its file, in seconds. Without this option, end_s, if there is such a column."""
    tier: str | None = None
    """Tier with the class, for datasets textgrid:FOLDER and elan:FOLDER. Without this option, the only tier of intervals."""
    further: tuple[str, ...] = ()
    """Further columns to keep in the store, for instance site and microphone, for datasets that have columns, fields, files
    or schemes. `jfewshot run --support-where site=A --query-where site=B` can then select support and query clips by these
    columns. Without this option, none; frequency bounds of annotations are always kept, as low_hz and high_hz."""


@typing.runtime_checkable
class Dataset(typing.Protocol):
    """A dataset: facts about it, and a function that reads its folder."""

    @property
    def info(self) -> DatasetInfo:
        """Facts about the dataset."""
        ...

    def recordings(self, root: Path) -> list[Recording]:
        """List all recordings of a folder that has the publisher's layout, in the order of clip ids.

        Args:
          root: the folder.

        Raises:
          UserError: if `root` does not look like this dataset; the message says what is missing and how the folder must look.
        """
        ...
