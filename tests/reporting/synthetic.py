"""Result folders without an evaluator: made-up encoders of known quality, with everything a real run writes."""

import hashlib

import numpy as np

from jfewshot.results import ResultFolder
from jfewshot.statistics import correct_from_predicted, pool_interval
from tests.statistics.simulated import draw_episodes, sample_classes, sample_clips


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def nearest_slot(embeddings, clips, k_shot):
    """Predicted slot of each query, class-major."""
    drawn = embeddings[clips]
    centroids, queries = drawn[:, :, :k_shot].mean(axis=2), drawn[:, :, k_shot:]
    distance = ((queries[:, :, :, None] - centroids[:, None, None]) ** 2).sum(axis=-1)
    return distance.argmin(axis=-1).reshape(len(clips), -1).astype(np.int8)


def record_of(
    upstream="alpha",
    dataset="esc",
    mean=0.5,
    *,
    view="last.mean",
    revision="1",
    clip_table=None,
    classifier=None,
    strength=1.0,
    preprocessing="l2",
    accuracy=None,
    **protocol,
):
    """A record as docs/results.md has it, with nothing behind it."""
    identity = {
        "clip_table": clip_table or digest(dataset),
        "embeddings": digest(f"{upstream}/{dataset}/{view}/{revision}"),
        "segments": digest(f"{dataset}/segments"),
        "preprocessing": {"name": preprocessing},
        "classifier": classifier or {"name": "logistic"},
        "strength": None if strength is None else {"name": "C", "value": strength},
        "protocol": {
            "n_way": 5,
            "k_shot": 1,
            "n_query": 5,
            "n_episodes": 400,
            "seed": 0,
            "split": None,
            "min_clips": None,
            "group_aware": False,
            "query_segments": "vote",
            **protocol,
        },
        "numerics": 1,
    }
    layer, pooling = view.split(".")
    std, n_episodes = 0.2, identity["protocol"]["n_episodes"]
    return {
        "identity": identity,
        "key": digest(repr(sorted(identity.items())))[:20],
        "dataset": {"name": dataset},
        "upstream": {"name": upstream, "revision": revision},
        "view": {"name": view, "layer": layer, "pooling": pooling, "dim": 16},
        "store": {"path": f"stores/{dataset}/{upstream}", "digest": digest(f"{upstream}/{dataset}/store")},
        "counts": {"clips": 200, "classes": 10, "segments": 200, "classes_left_out": [], "redraws": 0},
        "accuracy": accuracy
        or {
            "mean": mean,
            "std": std,
            "ci95": 1.96 * std / n_episodes**0.5,
            "pool_ci95": 0.05,
            "pool_ci95_classes_fixed": 0.03,
        },
        "solver": {"residual_max": 1e-6, "residual_median": 1e-7, "not_converged": 0, "iterations_mean": 40.0},
        "timing": {"wall_s": 0.5, "episodes_per_s": 20000.0, "compile_s": 2.0},
        "made_with": {"jfewshot": "0.1.0", "jax": "0.10.0", "numpy": "2.4", "device": "cpu", "n_devices": 1},
    }


def write_results(
    path,
    upstreams,
    datasets,
    *,
    shots=(1,),
    ways=(5,),
    views=("last.mean",),
    splits=(None,),
    strengths=(1.0,),
    n_query=5,
    n_episodes=400,
    n_classes=8,
    n_per_class=20,
    seed=0,
    keep="predictions",
    facts=None,
):
    """A result folder. `upstreams` maps names to the noise of their embeddings: the less, the more accurate they are.

    A later view has less noise; so does a larger strength, up to 1, which makes the best of each known. `facts` maps names to
    what records say of the upstream in their place, such as one name in two revisions.
    """
    folder = ResultFolder(path, keep)
    for dataset in datasets:
        rng = np.random.default_rng(int(digest(dataset)[:8], 16))
        means, spreads = sample_classes(rng, n_classes, 6)
        clips_true = sample_clips(rng, means, 0.5 * spreads, n_per_class)
        labels = np.repeat(np.arange(n_classes), n_per_class)
        table = {
            "clip_id": np.array([f"{dataset}/{i:05d}.wav" for i in range(len(labels))]),
            "class": np.array([f"klass-{c} – ü" for c in labels]),
            "group": np.array(["" for _ in labels]),
        }
        for split in splits:
            for n_way in ways:
                largest = draw_episodes(
                    np.random.default_rng(seed), n_classes, n_per_class, n_episodes, n_way, max(shots) + n_query
                )
                for k_shot in shots:
                    clips = np.concatenate([largest[:, :, :k_shot], largest[:, :, max(shots) :]], axis=2)
                    drawn = {
                        "clip_table": digest(dataset),
                        "n_way": n_way,
                        "k_shot": k_shot,
                        "n_query": n_query,
                        "n_episodes": n_episodes,
                        "seed": seed,
                        "split": split,
                        "min_clips": None,
                        "group_aware": False,
                    }
                    name = folder.write_draws(
                        drawn,
                        {
                            "clips": clips.astype(np.uint32),
                            "segment": np.zeros((n_episodes, n_way, k_shot), np.float32),
                            **table,
                        },
                    )
                    for upstream, noise in upstreams.items():
                        for number, view in enumerate(views):
                            for strength in strengths:
                                own = np.random.default_rng(int(digest(upstream + dataset + view)[:8], 16))
                                scale = noise * (1 + 0.6 * (len(views) - 1 - number)) * (2 - min(strength, 1.0))
                                embeddings = clips_true + scale * own.standard_normal(clips_true.shape)
                                predicted = nearest_slot(embeddings, clips, k_shot)
                                interval = pool_interval(
                                    correct_from_predicted(predicted, n_way), clips, labels, k_shot
                                )
                                record = record_of(
                                    upstream,
                                    dataset,
                                    view=view,
                                    strength=strength,
                                    accuracy=interval._asdict(),
                                    **{k: v for k, v in drawn.items() if k != "clip_table"},
                                )
                                record.pop("key")
                                record["upstream"] |= (facts or {}).get(upstream, {})
                                folder.write_cell(record | {"draws": name}, predicted)
    folder.close()
    return path
