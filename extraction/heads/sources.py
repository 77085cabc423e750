"""Find or compute labelled embeddings for a folder, a table, a store or a finished try, and choose the classifier to fit."""

import dataclasses
import logging
import shlex
from collections.abc import Iterable
from pathlib import Path

from extraction.heads.encoder import loads_as
from extraction.heads.labels import UNKNOWN
from extraction.heads.options import FitOptions
from extraction.settings import ExtractionSettings, UpstreamOptions
from extraction.trying.encoders import require_audio_packages
from extraction.trying.evaluating import keep_groups_apart, plan_for
from extraction.trying.finding import Found, find_clips
from extraction.trying.options import TryOptions
from extraction.trying.recommended import RECOMMENDED, Recommended, classifier_of, read_recommended
from extraction.upstreams import load_upstream
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.printable import counted
from jfewshot.store import Store, open_store
from jfewshot.store.manifest import MANIFEST

log = logging.getLogger("jfewshot.fit")

# Classifiers that are evaluated if the user gives a store and no classifier.
CANDIDATES = ("ridge:alpha=auto", "centroid", "knn")
_EPISODES = 600


@dataclasses.dataclass(frozen=True)
class Source:
    """The embeddings and the classifier for a head.

    Attributes:
      name: name of the clips.
      store: embeddings of the clips.
      load: name with which `load_upstream` loads the encoder; None if the store does not determine it.
      classifier: classifier to fit.
      view: name of the store's array; None for the usual array.
      why: a sentence that gives the reason for encoder, classifier and view.
      cautions: sentences about problems of the data that the try found.
    """

    name: str
    store: Store
    load: str | None
    classifier: str
    view: str | None
    why: str
    cautions: tuple[str, ...] = ()


def name_of(options: FitOptions) -> str:
    """The name of the source's file or folder, from which the names of output folders are made."""
    path = options.source.expanduser().resolve()
    return (path.stem if path.is_file() else path.name) or "clips"


def find_source(options: FitOptions) -> Source:
    """Find or compute the embeddings on which to fit a head.

    Args:
      options: options of the command.

    Returns:
      the embeddings, the classifier and the view.

    Raises:
      UserError: if the user can correct the cause; the message says how.
    """
    path = options.source.expanduser()
    if (path / MANIFEST).is_file():
        return _of_store(options, open_store(path))
    if options.upstream is not None:
        raise UserError(
            "--upstream is for a store; the encoder of a folder comes from the try (--from, or `jfewshot try`)"
        )
    tried = options.from_try
    if tried is None:
        tried = _try(options)
    recommended = read_recommended(tried)
    store, grown = _embeddings(options, tried, recommended)
    why = (
        f"{store.manifest['upstream'].get('title') or recommended.encoder} was the best encoder of {tried}: "
        f"{100 * recommended.accuracy:.1f}% at {counted(recommended.shots, 'label')} per class ({tried / 'index.html'})."
    )
    return Source(
        name_of(options),
        store,
        recommended.load,
        options.classifier or recommended.classifier,
        options.view or recommended.view,
        why,
        (*recommended.cautions, *grown),
    )


def check_class_names(names: Iterable[str]) -> None:
    """Refuse a class with the name that labels use for windows without a class.

    Args:
      names: names of the classes.

    Raises:
      UserError: if a class is called `unknown`.
    """
    if UNKNOWN in names:
        raise UserError(
            f"a class is called '{UNKNOWN}', the name that `jfewshot apply` gives to windows without a class; give this class "
            "another name, such as background"
        )


def _try(options: FitOptions) -> Path:
    """Try the folder, unless a finished try exists."""
    found = find_clips(options.source, options.root, options.columns, options.group_from, options.also)
    check_class_names({one.label for one in found.used})
    out = Path(f"try-{found.name}")
    if (out / RECOMMENDED).exists():
        log.info("using the recommendation of %s; remove that folder to try again", out)
        return out
    from extraction.trying.trying import run_try

    log.info("no --from is given: trying the encoders first, in %s", out)
    run_try(
        TryOptions(
            folder=options.source,
            also=options.also,
            root=options.root,
            quick=options.quick,
            group_from=options.group_from,
            out=out,
            workers=options.workers,
            columns=options.columns,
        )
    )
    return out


def _embeddings(options: FitOptions, tried: Path, recommended: Recommended) -> tuple[Store, list[str]]:
    """Embeddings of all labelled clips by the recommended encoder, and a caution if some clips are new since the try.

    If the clips are those of the try, the try's embeddings are used.
    """
    group_from = options.group_from if options.group_from is not None else recommended.group_from
    also = options.also or tuple(map(Path, recommended.also))
    found = find_clips(options.source, options.root, options.columns, group_from, also)
    check_class_names({one.label for one in found.used})
    folder, cautions = tried / recommended.store, []
    if (folder / MANIFEST).is_file():
        store = open_store(folder)
        if _same_clips(store, found):
            return store, []
        n_new = _n_new(store, found, tried, options.source)
        if n_new:
            cautions.append(
                f"{n_new} of {len(found.used)} clips are new since the try {tried}: its choice of the encoder and its findings "
                "do not account for them."
            )
    require_audio_packages((recommended.load,))
    from extraction.allocator import keep_freed_memory
    from extraction.pipeline import extract

    keep_freed_memory()
    with Progress(f"loading {recommended.load}"):
        encoder = load_upstream(recommended.load, UpstreamOptions())
    settings = ExtractionSettings(segment=recommended.segment, on_error="skip", workers=options.workers)
    out = (tried / "fit").absolute()
    extract(found.dataset(), found.root, [encoder], out, settings, replace=True)
    return open_store(out / found.name / encoder.name), cautions


def _n_new(store: Store, found: Found, tried: Path, source: Path) -> int:
    """Number of found clips that the try did not have.

    Raises:
      UserError: if the try had none of the found clips.
    """
    had = {*store.clips.clip_id.tolist(), *(item["clip_id"] for item in store.manifest.get("left_out", []))}
    wanted = [one.clip_id for one in found.used]
    n_new = sum(clip_id not in had for clip_id in wanted)
    if wanted and n_new == len(wanted):
        raise UserError(
            f"{tried} was tried on other clips: it has '{min(had)}', and it has none of the {n_new} clips of {source}, such as "
            f"'{wanted[0]}'. Give the folder that was tried, or try this one: jfewshot try {shlex.quote(str(source))}"
        )
    return n_new


def _same_clips(store: Store, found: Found) -> bool:
    """Whether a store has exactly the clips that were found, apart from clips that could not be read."""
    unread = {item["clip_id"] for item in store.manifest.get("left_out", []) if "too small" not in item["reason"]}
    wanted = {(one.clip_id, one.label, one.group) for one in found.used if one.clip_id not in unread}
    clips = store.clips
    return wanted == set(zip(clips.clip_id.tolist(), clips.class_name.tolist(), clips.group.tolist(), strict=True))


def _of_store(options: FitOptions, store: Store) -> Source:
    check_class_names(store.clips.classes.tolist())
    load = options.upstream or loads_as(store.upstream)
    classifier, view, why = options.classifier, options.view, ""
    if options.from_try is not None:
        recommended = read_recommended(options.from_try)
        if recommended.encoder != store.upstream:
            raise UserError(
                f"{options.from_try} recommends the encoder {recommended.encoder}, and {options.source} has embeddings of "
                f"{store.upstream}; give the folder of the clips, or the store of that encoder"
            )
        load, classifier, view = recommended.load, classifier or recommended.classifier, view or recommended.view
    elif classifier is None:
        classifier, view, why = _best_of(store, options)
    return Source(store.dataset, store, load, classifier, view, why)


def _best_of(store: Store, options: FitOptions) -> tuple[str, str, str]:
    """The classifier and the view of a store with the highest accuracy at the largest number of labels that the classes allow."""
    from jfewshot.api import evaluate

    clips = store.clips
    kept = clips.class_name != ""
    labels, groups = clips.class_name[kept].tolist(), clips.group[kept].tolist()
    sizes = {str(name): labels.count(str(name)) for name in clips.classes}
    plan = plan_for(sizes, False, options.min_clips, any(groups))
    plan, _ = keep_groups_apart(plan, labels, groups)
    plan = dataclasses.replace(plan, shots=plan.shots[-1:])
    views = [options.view] if options.view else list(store.views)
    total = len(views) * len(CANDIDATES) * _EPISODES
    with Progress("evaluating", total, "episodes") as progress:
        records = evaluate(
            store,
            classifiers=list(CANDIDATES),
            ways=plan.ways,
            shots=list(plan.shots),
            n_query=plan.n_query,
            n_episodes=_EPISODES,
            min_clips=plan.min_clips,
            group_aware=plan.group_aware,
            views=views,
            preprocessing=options.preprocessing,
            on_progress=progress.advance,
        )
    best = max(records, key=lambda record: record["accuracy"]["mean"])
    view, classifier = best["view"]["name"], classifier_of(best)
    several = f" and {len(views)} views" if len(views) > 1 else ""
    why = (
        f"{classifier} on {view} was the best of {len(CANDIDATES)} classifiers{several} of {store.path}: "
        f"{100 * best['accuracy']['mean']:.1f}% at {counted(plan.shots[-1], 'label')} per class."
    )
    return classifier, view, why
