"""A suite's leaderboard as one static page that needs no network."""

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np

from jfewshot._version import __version__
from jfewshot.suite.board import ALL_FAMILIES, encoder_title, family_names, standing_of, track_names, track_title
from jfewshot.suite.contribution import Contribution
from jfewshot.suite.definition import DIGESTS, Suite
from jfewshot.suite.filling import Known
from jfewshot.suite.scores import LEAST_DATASETS, Standing


def leaderboard_page(suite: Suite, files: Mapping[Path, Contribution], known: Known) -> str:
    """The page's HTML, from the template `jfewshot/data/page/suite.html`.

    Args:
      suite: whose leaderboard it is.
      files: the contributions, by the path of their files below the leaderboard's folder.
      known: the digests that are known.

    Returns:
      HTML with everything inlined.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    # "</script" would end the script element, and "<!--<script" would keep it open.
    data = json.dumps(
        {"standings": standings(suite, list(files.values())), "least_datasets": LEAST_DATASETS},
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    ).replace("<", "\\u003c")
    return environment.from_string(_asset("suite.html")).render(
        title=f"{suite.title}: leaderboard",
        description=suite.description,
        version=suite.version,
        definition=suite.definition,
        command=f"jfewshot suite run {suite.name} --upstreams ENCODER --root AUDIO",
        made_with=__version__,
        tracks=[(name, track_title(suite, name)) for name in track_names(suite)],
        families=[(name, "all tasks" if name == ALL_FAMILIES else name) for name in family_names(suite)],
        tasks=[_task(suite, task, known) for task in suite.tasks],
        encoders=[_encoder(path, one) for path, one in files.items()],
        data=markupsafe.Markup(data),
        styles={"page": markupsafe.Markup(_asset("page.css")), "suite": markupsafe.Markup(_asset("suite.css"))},
        script=markupsafe.Markup(_asset("suite.js").replace("</script", "<\\/script")),
    )


def standings(suite: Suite, contributions: Sequence[Contribution]) -> dict[str, dict[str, Any]]:
    """Every standing as plain values, by track and family; empty without contributions.

    Args:
      suite: tasks and anchors.
      contributions: complete ones.

    Returns:
      what JSON can hold.
    """
    if not contributions:
        return {}
    return {
        track: {family: _plain(standing_of(suite, contributions, track, family)) for family in family_names(suite)}
        for track in track_names(suite)
    }


def _plain(one: Standing) -> dict[str, Any]:
    return {
        "encoders": one.encoders,
        "datasets": one.datasets,
        "accuracy": _numbers(one.accuracy),
        "half_width": _numbers(one.half_width),
        "average": _numbers(one.average),
        "average_half_width": _numbers(one.average_half_width),
        "rank": _numbers(one.rank),
        "total": _numbers(one.total),
        "over_datasets": None
        if one.over_datasets is None
        else {name: _numbers(bounds) for name, bounds in one.over_datasets.items()},
        "without": None if one.without is None else _numbers(one.without),
        "hinge": one.hinge,
    }


def _numbers(values: np.ndarray) -> list[Any]:
    return np.round(values, 6).tolist()


def _task(suite: Suite, task: Any, known: Known) -> dict[str, str]:
    there = [kind for kind in DIGESTS if (task.name, kind) in known.digests]
    return {
        "name": task.name,
        "family": suite.dataset(task.dataset).family,
        "track": suite.track(task.track).title,
        "lower": f"{100 * task.lower:.2f}",
        "upper": f"{100 * task.upper:.2f}",
        "upper_of": task.upper_of,
        "known": "known"
        if len(there) == len(DIGESTS)
        else f"unverified: {', '.join(k for k in DIGESTS if k not in there)}",
    }


def _encoder(path: Path, one: Contribution) -> dict[str, str]:
    parameters = one.encoder.n_parameters
    return {
        "title": encoder_title(one),
        "revision": one.encoder.revision or "",
        "parameters": "" if parameters is None else f"{parameters:,}",
        "made_with": ", ".join(f"{name} {version}" for name, version in one.made_with.items()),
        "file": path.as_posix(),
    }


def _asset(name: str) -> str:
    return importlib.resources.files("jfewshot").joinpath("data", "page", name).read_text(encoding="utf-8")
