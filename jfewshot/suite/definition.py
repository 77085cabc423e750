"""What a suite is: a frozen, versioned list of few-shot tasks, read from a JSON file and checked."""

import functools
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.files.json_values import decode_json

FORMAT = "jfewshot-suite"
FORMAT_VERSION = 1
PREFIX = "suite:"
# What can be compared between two contributions to a task: which clips, which classes, which episodes.
DIGESTS = ("clip_table", "classes", "draws")

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\Z")]
# Empty where nobody could compute it yet.
Digest = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
_Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class TaskProtocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the episodes of a track are drawn; the fields are those of `jfewshot.episodes.protocol.Protocol`."""

    n_way: Annotated[int, msgspec.Meta(ge=2, le=511)]
    k_shot: _Positive
    n_query: _Positive
    n_episodes: Annotated[int, msgspec.Meta(ge=2, le=2**32 - 1)]
    seed: int
    min_clips: _Positive
    group_aware: bool
    query_segments: Literal["vote", "mean", "one"]


class Track(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tasks that share everything but the dataset: a protocol, a classifier and a rule for its strength.

    Attributes:
      name: part of the names of its tasks.
      title: a few words for tables.
      protocol: how episodes are drawn.
      view: which array of a store is evaluated.
      preprocessing: what is done to embeddings first.
      classifier: as `--classifiers` takes it.
      settings: the classifier with all its settings written out, so that a changed default is noticed.
      strength_rule: `none` where the classifier has no strength; `auto` where each episode chooses it from its support clips.
      strength_grid: version of the grid that `auto` chooses from; None for `none`.
    """

    name: Name
    title: _Text
    protocol: TaskProtocol
    view: Name
    preprocessing: Literal["none", "l2"]
    classifier: _Text
    settings: dict[str, Any]
    strength_rule: Literal["none", "auto"]
    strength_grid: int | None


class SuiteDataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset of a suite.

    Attributes:
      name: as in the manifests of its stores.
      title: for tables.
      family: kind of sounds, by which a leaderboard can be filtered.
      split: the split that episodes are drawn from; None for all clips.
      load: what `jfewshot extract --datasets` takes.
      folder: name of its audio's folder below `--root`.
      classes: by number of shots, the classes that take part, sorted; None where their sizes are not known, so that nobody can
        say which of them have enough clips.
    """

    name: Name
    title: _Text
    family: _Text
    split: str | None
    load: _Text
    folder: _Text
    classes: dict[str, list[str] | None]


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset under a track, with the two accuracies (0-1) between which its score runs from 0 to 1000.

    Attributes:
      name: `DATASET-TRACK`.
      dataset: name of its dataset.
      track: name of its track.
      lower: accuracy that scores 0.
      upper: accuracy that scores 1000.
      upper_of: whose accuracy `upper` is.
    """

    name: Name
    dataset: Name
    track: Name
    lower: _Share
    upper: _Share
    upper_of: _Text


class TaskDigests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Digests of a task's table of clips, of its list of classes and of its drawn episodes; empty where not known."""

    clip_table: Digest
    classes: Digest
    draws: Digest


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen list of tasks.

    Attributes:
      name: of the suite.
      version: raised when a task changes; results of two versions are never compared.
      title: one line for pages.
      description: a few sentences.
      tracks: what is done with every dataset.
      datasets: on what.
      tasks: all combinations of the two, in the order of tables.
      digests: by task; outside of the definition, since an empty one may be filled later.
    """

    format: str
    format_version: int
    name: Name
    version: _Positive
    title: _Text
    description: _Text
    tracks: list[Track]
    datasets: list[SuiteDataset]
    tasks: list[Task]
    digests: dict[str, TaskDigests]

    @property
    def definition(self) -> str:
        """SHA-256 of everything that a result depends on: the file without its digests."""
        fields = msgspec.to_builtins(self)
        del fields["digests"]
        return sha256_of_json(fields)

    @property
    def families(self) -> tuple[str, ...]:
        """Kinds of sounds, in the order of the datasets."""
        return tuple(dict.fromkeys(dataset.family for dataset in self.datasets))

    def track(self, name: str) -> Track:
        """The track of that name."""
        return next(track for track in self.tracks if track.name == name)

    def dataset(self, name: str) -> SuiteDataset:
        """The dataset of that name."""
        return next(dataset for dataset in self.datasets if dataset.name == name)

    def classes(self, task: Task) -> list[str] | None:
        """The classes that take part in a task; None where they are not known."""
        return self.dataset(task.dataset).classes[self.shots_of(task)]

    def shots_of(self, task: Task) -> str:
        """The number of shots of a task, as the key of its list of classes."""
        return str(self.track(task.track).protocol.k_shot)


def shipped_suites() -> tuple[str, ...]:
    """Names of the suites that come with the package."""
    return tuple(sorted(path.name.removesuffix(".json") for path in _folder().iterdir() if path.name.endswith(".json")))


def load_suite(name: str | Path) -> Suite:
    """Read a suite that comes with the package, or one from a file.

    Args:
      name: `samples`, `suite:samples` or the path of a JSON file.

    Raises:
      UserError: if there is no such suite, or the file is damaged, of a newer format, or contradicts itself.
    """
    text = str(name).removeprefix(PREFIX)
    if not (text.endswith(".json") or "/" in text or "\\" in text):
        return _shipped(text)
    path = Path(text)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); give a suite's JSON file") from error
    return parse_suite(data, str(path))


def parse_suite(data: bytes, where: str) -> Suite:
    """Check the bytes of a suite's file.

    Args:
      data: JSON in UTF-8.
      where: the file's name, for messages.

    Raises:
      UserError: if it is damaged, of a newer format, or contradicts itself.
    """
    try:
        value = decode_json(data)
    except UserError as error:
        raise UserError(
            f"{where} is not JSON ({error}); a suite is a file as `jfewshot suite init` writes it"
        ) from error
    check_format(value, FORMAT, FORMAT_VERSION, where, "suite")
    try:
        suite = msgspec.convert(value, Suite)
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{where} is no suite of this format: {error}") from error
    fault = _fault(suite)
    if fault:
        raise UserError(f"{where} contradicts itself: {fault}")
    return suite


def check_format(value: Any, name: str, version: int, where: str, what: str) -> None:
    """Refuse a file of another kind or of a newer format.

    Args:
      value: the decoded JSON.
      name: what its field `format` has to say.
      version: the newest `format_version` that this installation reads.
      where: the file's name, for messages.
      what: what the file should be, for messages.

    Raises:
      UserError: in one line.
    """
    if not isinstance(value, Mapping) or value.get("format") != name:
        seen = value.get("format") if isinstance(value, Mapping) else None
        raise UserError(f"{where} is no {what}: its field 'format' has to be '{name}', and is {str(seen)[:80]!r}")
    found = value.get("format_version")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise UserError(f"{where}: its field 'format_version' has to be a whole number from 1 on")
    if found > version:
        raise UserError(
            f"{where} is a {what} of format version {found}, and this jfewshot reads up to version {version}; "
            "install a newer jfewshot"
        )


def _fault(suite: Suite) -> str | None:
    """A description of the first contradiction in a suite; None if there is none."""
    for what, names in (
        ("track", [track.name for track in suite.tracks]),
        ("dataset", [dataset.name for dataset in suite.datasets]),
        ("task", [task.name for task in suite.tasks]),
    ):
        if not names:
            return f"it has no {what}"
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            return f"{what} '{twice}' is there twice"
    wanted = [f"{dataset.name}-{track.name}" for dataset in suite.datasets for track in suite.tracks]
    for task in suite.tasks:
        if task.name not in wanted or task.name != f"{task.dataset}-{task.track}":
            return f"task '{task.name}' is not DATASET-TRACK of a dataset and a track of the suite"
        if not task.lower < task.upper:
            return f"task '{task.name}' has a lower accuracy of {task.lower} and an upper one of {task.upper}"
        if suite.shots_of(task) not in suite.dataset(task.dataset).classes:
            return f"dataset '{task.dataset}' has no list of classes for {suite.shots_of(task)} shots"
        if task.name not in suite.digests:
            return f"task '{task.name}' has no digests"
        listed = suite.classes(task)
        if listed is not None and suite.digests[task.name].classes != sha256_of_json(listed):
            return f"the digest of the classes of '{task.name}' is not that of its list"
    missing = sorted(set(wanted) - {task.name for task in suite.tasks})
    return f"task '{missing[0]}' is missing" if missing else None


def _folder() -> Any:
    return importlib.resources.files("jfewshot").joinpath("data", "suites")


@functools.cache
def _shipped(name: str) -> Suite:
    if name not in shipped_suites():
        raise UserError(
            f"there is no suite '{name[:80]}'; there are {', '.join(shipped_suites())}, or give the path of a suite's JSON file"
        )
    return parse_suite(_folder().joinpath(f"{name}.json").read_bytes(), f"{name}.json")
