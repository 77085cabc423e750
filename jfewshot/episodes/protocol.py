"""The protocol: how episodes are drawn and how they are scored."""

import dataclasses
import operator
from typing import Any, Final, Literal

from jfewshot.episodes.sides import SEPARATE_DRAWS, Side
from jfewshot.errors import UserError

QuerySegments = Literal["vote", "mean", "one"]
# What to do if classes are too small for the largest number of shots: end the run, leave them out of the whole curve,
# or stop the curve.
SmallClasses = Literal["refuse", "leave", "stop"]
ALL: Final = "all"  # instead of a number of ways, of shots or of queries
# Counters of the random stream have 9 bits for the class's slot and 16 for the position in it (shuffling.py).
MAX_WAYS, MAX_DRAWN = 511, 65_535
# The largest number of queries of a class as a multiple of the mean, if classes have different numbers of queries. It
# is fixed, so that an episode does not depend on the size of the dataset, and small, since every class must have so
# many clips.
_MOST_OF_MEAN = 3
# Version of the group-aware draws; increased when these episodes change, so that a result is never compared with one on
# other episodes. (Version 1, without a number in its records, drew an episode's classes again together with its
# supports, so classes that leave few queries were too rare. Episodes that are not group-aware have never changed.)
GROUP_AWARE_DRAWS = 2
# mteb's audio classification (mteb_draws.py): clips per class, experiments with splits, and folds without them.
MTEB_SHOTS, MTEB_EXPERIMENTS, MTEB_FOLDS = 8, 10, 5
# Version of these experiments; increased when they change.
MTEB_DRAWS = 1
# Fields that are part of a record only if their option is used, so that earlier records keep their keys.
_ONLY_WHERE_USED = (
    *("support", "query", "support_from", "every_query", "every_class", "all_labels", "least_supports"),
    *("mteb", "independent"),
    *("query_balance", "total_queries", "unknown_ways"),
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How few-shot episodes are drawn and scored; two results can be compared only if these settings are equal.

    Attributes:
      n_way: classes per episode.
      k_shot: support clips per class.
      n_query: query clips per class.
      n_episodes: how many episodes.
      seed: chooses the sequence of episodes: episode i of a seed has the same clips for every upstream and classifier.
      split: draw from the clips of this split only; None for all.
      min_clips: leave out classes with fewer clips; None to require that every class has enough clips.
      group_aware: no query shares a group (speaker, recording, site) with a support clip of its episode.
      query_segments: a query clip of several segments is decided by majority over them ("vote", ties to the smallest class
        index), by their mean score ("mean"), or by one drawn at random ("one").
      nested_shots: the largest number of shots drawn together: the supports of fewer shots are the first of these, with the
        same queries. It changes a draw only with `group_aware`; None means `k_shot`.
      support: which clips supports are drawn from; None for all clips of `split`. With `support`, `query` or `support_from`, the
        two sides of an episode are drawn from separate pools (two_pools.py).
      query: which clips queries are drawn from; None for all clips of `split`.
      all_labels: train on all support clips of an episode's classes, instead of on `k_shot` of each class (`k_shot` is
          then 1). This is the last point of a curve over shots, and its queries are those of the curve.
      query_balance: concentration of the Dirichlet distribution from which each episode draws the shares of its classes among the
        queries (proportions.py); None for equally many queries of each class. `n_query` is then the largest number of queries
        that a class may have.
      total_queries: with `query_balance`, the number of queries of an episode; else None.
      least_supports: with separate pools, leave out classes with fewer support clips than this, or fewer query clips than
        `n_query`; None to require that every class has enough. `min_clips` is the same number for both sides.
      support_from: name of the dataset whose store holds the supports; None for the store that holds the queries.
      every_query: whether the queries of a class are all of its query clips that are not supports of the episode.
          `n_query` is then the number of query clips of the largest class (`resolved` sets it), and smaller classes
          have fewer.
      every_class: whether an episode has all classes. `n_way` is then their number (`resolved` sets it).
      mteb: with "splits" or "folds", the experiments of mteb's audio classification (mteb_draws.py); with "either", those that
        the dataset allows (`resolved` decides). None for episodes.
      unknown_ways: number of classes without supports whose clips are also queries, `n_query` of each, in addition to
          the `n_way` classes.
      independent: whether mteb's experiments are drawn independently of each other, instead of as mteb draws them.
    """

    n_way: int = 5
    k_shot: int = 1
    n_query: int = 15
    n_episodes: int = 10_000
    seed: int = 42
    split: str | None = None
    min_clips: int | None = None
    group_aware: bool = False
    query_segments: QuerySegments = "vote"
    nested_shots: int | None = None
    support: Side | None = None
    query: Side | None = None
    support_from: str | None = None
    every_query: bool = False
    every_class: bool = False
    all_labels: bool = False
    least_supports: int | None = None
    mteb: Literal["either", "splits", "folds"] | None = None
    independent: bool = False
    query_balance: int | None = None
    total_queries: int | None = None
    unknown_ways: int = 0

    def __post_init__(self):
        # Convert NumPy's integers to Python's: a record is JSON, and the key of the random stream contains the digits
        # of the seed.
        for name in ("n_way", "k_shot", "n_query", "n_episodes", "seed", "min_clips", "nested_shots", "unknown_ways"):
            value = getattr(self, name)
            if value is not None or name not in ("min_clips", "nested_shots"):
                object.__setattr__(self, name, whole_number(value, name))
        object.__setattr__(self, "group_aware", bool(self.group_aware))
        for name, least in (("n_way", 2), ("k_shot", 1), ("n_query", 1), ("n_episodes", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.unknown_ways < 0:
            raise UserError(f"unknown_ways is {self.unknown_ways}; it must be at least 0")
        others = self.every_query or self.every_class or self.all_labels or self.query_balance is not None
        if self.unknown_ways and (others or self.mteb is not None):
            raise UserError(
                "unknown_ways needs numbers of ways, shots and queries, equal for all classes; leave out 'all' and query_balance"
            )
        if self.n_classes > MAX_WAYS or self.drawn_per_class > MAX_DRAWN:
            raise UserError(f"{self.n_classes}-way with {self.drawn_per_class} clips per class is more than this draws")
        if self.n_episodes >= 2**32:
            raise UserError(f"n_episodes is {self.n_episodes}; episode numbers are 32-bit, so fewer than 2**32")
        if self.nested_shots is not None and self.nested_shots < self.k_shot:
            raise UserError(f"nested_shots is {self.nested_shots}, fewer than the {self.k_shot} shots of the episode")
        if self.query_segments not in ("vote", "mean", "one"):
            raise UserError(f"query_segments is '{self.query_segments}'; choose vote, mean or one")
        if self.all_labels and self.k_shot != 1:
            raise UserError(f"all_labels takes all support clips, and k_shot is {self.k_shot}; leave k_shot at 1")

    @property
    def is_separate(self) -> bool:
        """Whether supports and queries have separate pools, which may hold the same clips."""
        given = self.support is not None or self.query is not None or self.support_from is not None
        return given or self.every_query

    @property
    def draws_by_order(self) -> bool:
        """Whether draws depend on the order of the embeddings, as mteb's own draws do."""
        return self.mteb is not None and not self.independent

    @property
    def n_classes(self) -> int:
        """Classes drawn per episode, unknown ones included."""
        return self.n_way + self.unknown_ways

    @property
    def needed_classes(self) -> str:
        """The end of a message: how many classes a dataset needs, and what to do if it has fewer."""
        if not self.unknown_ways:
            return f"{self.n_way}-way needs {self.n_way}. Lower --ways"
        unknown = f"{self.unknown_ways} unknown classes"
        return f"{self.n_way}-way with {unknown} needs {self.n_classes}. Lower --ways or --unknown-ways"

    @property
    def n_asked(self) -> int:
        """Query clips per episode, those of unknown classes included."""
        return self.n_classes * self.n_query

    @property
    def as_drawn(self) -> "Protocol":
        """The protocol whose episodes include the unknown classes; the classes for fewer ways are the first for more ways."""
        return dataclasses.replace(self, n_way=self.n_classes, unknown_ways=0) if self.unknown_ways else self

    @property
    def n_support(self) -> int:
        """Support clips per episode."""
        return self.n_way * self.k_shot

    @property
    def n_queries(self) -> int:
        """Query clips per episode."""
        return self.n_way * self.n_query

    @property
    def shots_drawn(self) -> int:
        """Support clips drawn per class, before the first `k_shot` are taken."""
        return (self.nested_shots or self.k_shot) if self.group_aware else self.k_shot

    @property
    def drawn_per_class(self) -> int:
        """Clips drawn per class."""
        return self.shots_drawn + self.n_query

    def draw_identity(self, clip_table: str) -> dict[str, Any]:
        """The settings on which a draw depends: the key of the file of draws."""
        identity = {"clip_table": clip_table, **self.identity()}
        del identity["query_segments"]
        # The queries are those of a protocol with shots; the single support that is drawn with them is not used.
        identity.pop("all_labels", None)
        return identity

    @classmethod
    def of_mteb(
        cls, n_episodes: int | None, seed: int, split: str | None, support: Side | None, query: Side | None
    ) -> "Protocol":
        """The protocol of mteb's audio classification, before it is known which form a dataset allows.

        Args:
          n_episodes: number of independent experiments; None for mteb's own 10 or 5, drawn as mteb draws them.
          seed: seed of the draws; mteb's seed is 42.
          split: use only the clips of this split, in folds; None for all clips.
          support: the training split, if it is not named train.
          query: the test split, if it is not named test.

        Returns:
          the protocol; `resolved` sets the form and the numbers of experiments, classes and queries.

        Raises:
          UserError: if only one of the two splits is named, if both are the same, or if `split` is given too.
        """
        if (support is None) != (query is None):
            raise UserError("--protocol mteb needs both --support-split and --query-split, or neither")
        if split is not None and support is not None:
            raise UserError("--split makes folds within a split, and --support-split names another form; choose one")
        if support is not None and support == query:
            raise UserError(
                f"--support-split and --query-split are both {support.split}, and mteb's protocol would classify clips that it "
                f"trained on; name two splits, or give --split {support.split}, which makes five folds"
            )
        return cls(
            n_way=2,
            k_shot=MTEB_SHOTS,
            n_query=1,
            n_episodes=MTEB_EXPERIMENTS if n_episodes is None else n_episodes,
            seed=seed,
            split=split,
            support=support,
            query=query,
            every_query=True,
            every_class=True,
            mteb="either",
            independent=n_episodes is not None,
        )

    def with_mteb_form(self, splits: set[str]) -> "Protocol":
        """This protocol of mteb in the form that a dataset allows.

        Args:
          splits: the names of the splits of the dataset's labelled clips.
        """
        if self.mteb != "either":
            return self
        if self.split is None and self.support is None and {"train", "test"} <= splits:
            return dataclasses.replace(self, support=Side("train"), query=Side("test"), mteb="splits")
        if self.support is not None:
            return dataclasses.replace(self, mteb="splits")
        n_episodes = self.n_episodes if self.independent else MTEB_FOLDS
        return dataclasses.replace(self, n_episodes=n_episodes, mteb="folds")

    def with_sizes(self, n_way: int, n_query: int) -> "Protocol":
        """This protocol with numbers instead of "all classes" and "all queries".

        Args:
          n_way: how many classes there are.
          n_query: how many queries the largest class has.

        Raises:
          UserError: if there are more than an episode can have.
        """
        return dataclasses.replace(self, n_way=n_way, n_query=n_query)

    def identity(self) -> dict[str, Any]:
        """The settings on which a result depends."""
        nested = self.shots_drawn if self.group_aware else None
        version: dict[str, Any] = {"group_aware_draws": GROUP_AWARE_DRAWS} if self.group_aware else {}
        # Not `asdict`, which copies every value and would be slow: a grid of 100,000 cells needs as many identities as
        # it has views.
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in _ONLY_WHERE_USED:
            del fields[name]
        if self.mteb is not None:
            version |= {"mteb": self.mteb, "independent": self.independent, "mteb_draws": MTEB_DRAWS}
        if self.query_balance is not None:
            version |= {"query_balance": {"dirichlet": self.query_balance, "queries": self.total_queries}}
        if self.unknown_ways:
            version |= {"unknown_ways": self.unknown_ways}
        if self.all_labels:
            version |= {"all_labels": True}
        if self.least_supports is not None:
            version |= {"least_supports": self.least_supports}
        if self.is_separate:
            # Added only with separate pools, so that other records keep their keys.
            version |= {
                "support": (self.support or Side()).identity(),
                "query": (self.query or Side()).identity(),
                "support_from": self.support_from,
                "separate_draws": SEPARATE_DRAWS,
            }
        version |= {name: True for name in ("every_query", "every_class") if getattr(self, name)}
        return {**fields, "nested_shots": nested, **version}


def whole_number(value: Any, name: str) -> int:
    """Convert a whole number to Python's int; NumPy's integers are accepted, and floats are refused even if they are whole.

    A seed of 1.0 would draw other episodes than a seed of 1, since the text of the seed is part of the stream's key.

    Args:
      value: the given value.
      name: name of the option, for the message.

    Raises:
      UserError: if it is not a whole number.
    """
    try:
        return operator.index(value)
    except TypeError as error:
        raise UserError(f"{name} is {str(value)[:40]!r}; it must be a whole number, for instance {name}=5") from error


def whole_numbers(values: Any, name: str) -> list[int]:
    """Convert one whole number or several to a list.

    Args:
      values: a number, or numbers in a sequence or an array.
      name: name of the option, for the message.

    Raises:
      UserError: if there is none, or one is not a whole number.
    """
    several = hasattr(values, "__iter__") and not isinstance(values, str | bytes) and getattr(values, "ndim", 1) > 0
    numbers = [whole_number(value, name) for value in (values if several else [values])]
    if not numbers:
        raise UserError(f"{name} has no values; give at least one number, for instance {name}=5")
    return numbers


def protocols(
    ways: Any, shots: Any, small_classes: str = "refuse", other_store: bool = False, **settings: Any
) -> list[Protocol]:
    """One protocol for each number of ways with each number of shots, on nested supports with the same queries.

    Args:
      ways: one number of classes, or several; a repeated one counts once. "all" for all classes.
      shots: one number of support clips per class, or several, of which "all" may be one; a repeated one counts once.
          With "all", and if neither side is described, each dataset is divided into two parts (share.py), for every
          number of shots.
      small_classes: with "leave", classes too small for the largest number of shots are left out at every number of
          shots. `plan_cells`, which knows the classes, handles "stop".
      other_store: whether supports are from another store than queries.
      **settings: the other fields of `Protocol`; `n_query` may be "all" for all query clips, and `query_balance` is None, "equal"
        or "dirichlet:2"; `n_query` is then the mean number of queries of a class.

    Returns:
      The protocols: first all shots for the first number of ways, with "all" last, and so on.

    Raises:
      UserError: if a protocol cannot have one of the values.
    """
    every_class = [ways] if isinstance(ways, str) else ways
    if ALL in (every_class if isinstance(every_class, list | tuple) else ()):
        if len(every_class) > 1:
            raise UserError("ways is 'all' beside a number; give all alone, or numbers")
        ways, settings = 2, settings | {"every_class": True}
    if isinstance(settings.get("n_query"), str) and settings["n_query"] == ALL:
        settings |= {"n_query": 1, "every_query": True}
    numbers, with_all = _numbers_of_shots(shots)
    ways = whole_numbers(ways, "ways")
    concentration = _concentration(settings.pop("query_balance", None))
    if concentration and (with_all or settings.get("every_query") or settings.get("every_class")):
        raise UserError("query_balance needs numbers of ways, shots and queries; leave out 'all', or query_balance")
    for name in ("n_query", "n_episodes", "seed", "min_clips", "unknown_ways"):
        if settings.get(name) is not None:
            settings[name] = whole_number(settings[name], name)
    if small_classes not in ("refuse", "leave", "stop"):
        raise UserError(f"small_classes is '{small_classes}'; choose refuse, leave or stop")
    separate = other_store or settings.get("support") is not None or settings.get("query") is not None
    if with_all and not separate:
        settings |= {"support": Side(part="support"), "query": Side(part="query")}
        separate = True
    largest = max(numbers, default=1)
    if small_classes == "leave":
        if separate or settings.get("every_query"):
            # If all other clips are queries, at least one clip must be left.
            settings["least_supports"] = largest if separate else largest + 1
        else:
            least = largest + settings.get("n_query", Protocol.n_query)
            if concentration:
                least += (min(max(ways), _MOST_OF_MEAN) - 1) * settings.get("n_query", Protocol.n_query)
            settings["min_clips"] = max(settings.get("min_clips") or 0, least)
    found = []
    for way in dict.fromkeys(ways):
        common = {"n_way": way, "nested_shots": largest, **settings}
        if concentration:
            n_query = settings.get("n_query", Protocol.n_query)
            unequal = {"query_balance": concentration, "total_queries": way * n_query}
            common |= unequal | {"n_query": min(way, _MOST_OF_MEAN) * n_query}
        found += [Protocol(k_shot=shot, **common) for shot in dict.fromkeys(numbers)]
        if with_all:
            found.append(Protocol(k_shot=1, all_labels=True, **common))
    return found


def _concentration(text: str | None) -> int | None:
    """The 2 of "dirichlet:2"; None for equally many queries of each class."""
    if text is None or text == "equal":
        return None
    name, _, value = str(text).partition(":")
    if name != "dirichlet" or not value.isdecimal() or not 1 <= len(value) <= 3 or int(value) < 1:
        raise UserError(
            f"query_balance is {str(text)[:40]!r}; write equal, or dirichlet: and a whole number from 1 to 999, as in dirichlet:2"
        )
    return int(value)


def _numbers_of_shots(shots: Any) -> tuple[list[int], bool]:
    """The numbers among some shots, and whether "all" is one of them."""
    several = hasattr(shots, "__iter__") and not isinstance(shots, str | bytes) and getattr(shots, "ndim", 1) > 0
    listed = list(shots) if several else [shots]
    numbers = [one for one in listed if not (isinstance(one, str) and one == ALL)]
    with_all = len(numbers) < len(listed)
    wrong = next((one for one in numbers if isinstance(one, str)), None)
    if wrong is not None:
        raise UserError(f"shots is {wrong[:40]!r}; it must be a whole number or all, for instance shots=5")
    return (whole_numbers(numbers, "shots") if numbers or not with_all else []), with_all
