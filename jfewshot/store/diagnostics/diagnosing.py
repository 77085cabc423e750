"""All diagnostics of some stores: those of each space, and those that compare spaces of the same clips."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jfewshot.errors import UserError
from jfewshot.store.diagnostics.alignment import label_alignment, silhouette
from jfewshot.store.diagnostics.clip_embeddings import clip_embeddings, draw_clips
from jfewshot.store.diagnostics.near_copies import CopySearch, find_near_copies
from jfewshot.store.diagnostics.neighbours import NEIGHBOURS, Hubness, hubness, nearest_neighbours
from jfewshot.store.diagnostics.similarity import similarities
from jfewshot.store.diagnostics.spectrum import directions_for, effective_rank, mean_cosine, principal
from jfewshot.store.diagnostics.wrong_labels import LeftOut, find_suspects, leave_one_out, usable_labels
from jfewshot.store.reading import Store

SAMPLE = 20_000  # clips; a larger store is represented by a sample, because time grows with the square
MOST_CLIPS_OF_CKA = 5_000
SHARE = 0.9  # of the variance, for `directions`
_SPECTRUM = 32  # directions whose shares are kept


@dataclasses.dataclass(frozen=True)
class Space:
    """The findings about one view of one store.

    Attributes:
      store: folder of the store.
      upstream: name of the encoder.
      title: title of the encoder, with the view if several views of a store are diagnosed.
      view: name of the view.
      dim: numbers of an embedding.
      without_direction: clips whose embedding is zero, NaN or infinite; they are left out of all spaces.
      effective_rank: of Roy and Vetterli.
      directions: principal directions that hold 90% of the variance.
      spectrum: share of the variance of each of the first 32 principal directions.
      mean_cosine: between two different clips.
      hubness: with 10 neighbours; None for fewer than 12 clips.
      silhouette: mean over the labelled clips; None for fewer than two classes.
      label_alignment: centred kernel-target alignment; None for fewer than two classes.
      left_out_accuracy: share of the labelled clips that a classifier trained on all other clips recognises; None for
          fewer than two classes.
    """

    store: str
    upstream: str
    title: str
    view: str
    dim: int
    without_direction: int
    effective_rank: float
    directions: int
    spectrum: tuple[float, ...]
    mean_cosine: float
    hubness: Hubness | None
    silhouette: float | None
    label_alignment: float | None
    left_out_accuracy: float | None


class Clip(NamedTuple):
    """A clip with the facts by which a person finds it: its id (mostly its path below the dataset's folder), class and group."""

    clip_id: str
    label: str
    group: str


class Pair(NamedTuple):
    """Two clips of different classes or groups that are nearly the same recording; `strength` as in `find_near_copies`."""

    first: Clip
    second: Clip
    strength: float


class Suspect(NamedTuple):
    """A clip that all good encoders assign to another class than that of its label, by a mean `margin`."""

    clip: Clip
    given_to: str
    margin: float


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """The findings about the spaces of one table of clips.

    Attributes:
      dataset: name of the dataset.
      dataset_title: title of the dataset, or its name.
      clip_table: digest of the table.
      n_clips: clips of the table.
      n_drawn: clips that were diagnosed.
      spaces: one for each store and view.
      cka: linear CKA of every two spaces.
      debiased_cka: an unbiased estimate of the same.
      n_cka: number of clips from which both were computed.
      near_copies: pairs across classes or groups, the most alike first.
      suspects: clips whose label looks wrong, the clearest first.
      asked: titles of the spaces that were good enough to judge labels.
    """

    dataset: str
    dataset_title: str
    clip_table: str
    n_clips: int
    n_drawn: int
    spaces: tuple[Space, ...]
    cka: Float[np.ndarray, "spaces spaces"]
    debiased_cka: Float[np.ndarray, "spaces spaces"]
    n_cka: int
    near_copies: tuple[Pair, ...]
    suspects: tuple[Suspect, ...]
    asked: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The diagnosis as plain values; NaN becomes null."""
        spaces = [dataclasses.asdict(space) for space in self.spaces]
        for space in spaces:
            space["hubness"] = None if space["hubness"] is None else {"k": NEIGHBOURS, **space["hubness"]._asdict()}
        return _plain(
            {
                "dataset": self.dataset,
                "clip_table": self.clip_table,
                "clips": self.n_clips,
                "clips_drawn": self.n_drawn,
                "spaces": spaces,
                "similarity": {
                    "clips": self.n_cka,
                    "spaces": [space.title for space in self.spaces],
                    "linear_cka": self.cka.tolist(),
                    "debiased_cka": self.debiased_cka.tolist(),
                },
                "near_copies": [
                    {"first": pair.first._asdict(), "second": pair.second._asdict(), "strength": pair.strength}
                    for pair in self.near_copies
                ],
                "suspects": {
                    "encoders": list(self.asked),
                    "clips": [
                        {**one.clip._asdict(), "given_to": one.given_to, "margin": one.margin} for one in self.suspects
                    ],
                },
            }
        )


class Asked(NamedTuple):
    """A space to diagnose: a view of a store, and its title."""

    store: Store
    view: str
    title: str


def diagnose_stores(
    stores: Sequence[Store],
    views: Sequence[str] = (),
    sample: int = SAMPLE,
    advance: Callable[[], None] = lambda: None,
) -> list[Diagnosis]:
    """Diagnose the embedding spaces of some stores; spaces of the same clips are compared.

    Args:
      stores: stores of any datasets and encoders.
      views: names of the views; none for each store's default view.
      sample: number of clips in the sample of a larger store.
      advance: called after each view.

    Returns:
      one diagnosis for each table of clips, in the order of the stores.

    Raises:
      UserError: if a store has no such view, or hardly a clip with a direction.
    """
    together: dict[str, list[tuple[Store, str]]] = {}
    for store in stores:
        for view in views or (store.default_view,):
            together.setdefault(store.clips.digest, []).append((store, view))
    asked = [Asked(*pair, title) for own in together.values() for pair, title in zip(own, _titles(own), strict=True)]
    return diagnose_spaces(asked, sample, advance)


def diagnose_spaces(
    asked: Sequence[Asked], sample: int = SAMPLE, advance: Callable[[], None] = lambda: None
) -> list[Diagnosis]:
    """Diagnose some embedding spaces; those of the same clips are compared.

    Time grows with the square of the number of clips, and with the dimension. Memory holds, for each space of the same clips,
    the whitened embeddings in float32, and the embeddings of the clips from which CKA is computed.

    Args:
      asked: the spaces, in any order.
      sample: number of clips in the sample of a larger store.
      advance: called after each space.

    Returns:
      one diagnosis for each table of clips, in the order of the first space of each.

    Raises:
      UserError: if a store has no such view, or hardly a clip with a direction.
    """
    together: dict[str, list[Asked]] = {}
    for space in asked:
        together.setdefault(space.store.clips.digest, []).append(space)
    return [_diagnose(spaces, sample, advance) for spaces in together.values()]


def _diagnose(spaces: Sequence[Asked], sample: int, advance: Callable[[], None]) -> Diagnosis:
    clips = spaces[0].store.clips
    drawn = draw_clips(clips, sample)
    directed = [clip_embeddings(space.store.view(space.view), space.store.clips, drawn)[1] for space in spaces]
    kept = drawn[np.logical_and.reduce(directed)]
    if len(kept) < 2:
        raise UserError(
            f"{spaces[0].store.dataset}: {len(kept)} of {len(drawn)} clips have an embedding other than zero, NaN or infinity "
            "in every store; 2 are needed. `jfewshot store verify` says which store is at fault"
        )
    names, classes = np.unique(clips.class_name[kept], return_inverse=True)
    groups = clips.group_number[kept].astype(np.int64)
    usable = usable_labels(classes, clips.class_name[kept] != "")
    known, numbers = np.unique(classes[usable], return_inverse=True)
    several = len(known) > 1
    for_cka = np.arange(len(kept))
    if len(kept) > MOST_CLIPS_OF_CKA:
        for_cka = draw_clips(clips.select(kept), MOST_CLIPS_OF_CKA)
    found: list[Space] = []
    left_out: list[LeftOut] = []
    searches: list[CopySearch] = []
    compared: list[np.ndarray] = []
    for (store, view, title), sound in zip(spaces, directed, strict=True):
        x = clip_embeddings(store.view(view), store.clips, kept)[0]
        labelled = x[usable]
        axes = principal(x)
        if several:
            left_out.append(leave_one_out(axes if usable.all() else principal(labelled), numbers))
        spectrum = axes.variances
        found.append(
            Space(
                store=str(store.path),
                upstream=store.upstream,
                title=title,
                view=view,
                dim=x.shape[1],
                without_direction=int((~sound).sum()),
                effective_rank=effective_rank(spectrum),
                directions=directions_for(spectrum, SHARE),
                spectrum=tuple((spectrum[:_SPECTRUM] / max(spectrum.sum(), np.finfo(float).tiny)).tolist()),
                mean_cosine=mean_cosine(x),
                hubness=hubness(nearest_neighbours(x, NEIGHBOURS)) if len(x) > NEIGHBOURS + 1 else None,
                silhouette=silhouette(labelled, numbers) if several else None,
                label_alignment=label_alignment(labelled, numbers) if several else None,
                left_out_accuracy=left_out[-1].accuracy if several else None,
            )
        )
        searches.append(CopySearch(axes, classes, groups))
        compared.append(x[for_cka])
        advance()
    copies = find_near_copies(searches)
    suspects = find_suspects(left_out, numbers)
    linear, debiased = similarities(compared)
    clip = [Clip(str(clips.clip_id[at]), str(clips.class_name[at]), str(clips.group[at])) for at in kept]
    of_label = np.flatnonzero(usable)
    return Diagnosis(
        dataset=spaces[0].store.dataset,
        dataset_title=str(spaces[0].store.manifest["dataset"].get("title") or spaces[0].store.dataset),
        clip_table=clips.digest,
        n_clips=len(clips),
        n_drawn=len(kept),
        spaces=tuple(found),
        cka=linear,
        debiased_cka=debiased,
        n_cka=len(for_cka),
        near_copies=tuple(Pair(clip[a], clip[b], float(strength)) for a, b, strength in zip(*copies, strict=True)),
        suspects=tuple(
            Suspect(clip[of_label[at]], str(names[known[other]]), float(margin))
            for at, other, margin in zip(suspects.clips, suspects.given_to, suspects.margin, strict=True)
        ),
        asked=tuple(spaces[number].title for number in suspects.encoders),
    )


def _titles(spaces: Sequence[tuple[Store, str]]) -> list[str]:
    """Titles of encoders; equal titles are extended so that all differ."""
    titles = [str(store.manifest["upstream"].get("title") or store.upstream) for store, _ in spaces]
    for tell in (lambda store, view: view, lambda store, view: store.upstream, lambda store, view: str(store.path)):
        if len(set(titles)) == len(titles):
            break
        twice = {title for title in titles if titles.count(title) > 1}
        titles = [
            f"{title} ({tell(*space)})" if title in twice else title
            for title, space in zip(titles, spaces, strict=True)
        ]
    return titles


def _plain(value: Any) -> Any:
    """Convert values to types of JSON; NaN and infinities become None, numbers keep six significant digits."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
