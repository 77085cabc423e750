"""Small stores of random embeddings, for the tests of everything that starts from a store."""

import numpy as np

from jfewshot.store import ClipTable, Store, write_store


def clip_table(sizes=(6, 6, 6, 6, 6), n_segments=1, groups_of=None, splits=None, seed=0):
    """A table with classes of the given sizes.

    Args:
      sizes: clips of each class.
      n_segments: of every clip, or a function of the clip's number.
      groups_of: clips per group within a class; None for no groups.
      splits: one name per class; None for none.
    """
    labels = np.repeat(np.arange(len(sizes)), sizes)
    within = np.concatenate([np.arange(size) for size in sizes])
    counts = [n_segments(i) if callable(n_segments) else n_segments for i in range(len(labels))]
    # Ids in an order of their own, so that the sorted table mixes the classes.
    ids = np.random.default_rng(seed).permutation(len(labels))
    return ClipTable.build(
        [f"clip{number:04d}" for number in ids],
        [f"class{label}" for label in labels],
        None if groups_of is None else [f"g{c}-{w // groups_of}" for c, w in zip(labels, within, strict=True)],
        None if splits is None else [splits[label] for label in labels],
        n_segments=counts,
    )


def embeddings(table, dim=12, spread=1.0, seed=0, offset=0.0, dtype=np.float32):
    """Class centres plus noise: about 60 to 90% right, so that predictions are neither all right nor a guess."""
    rng = np.random.default_rng(seed)
    _, label = np.unique(table.class_name, return_inverse=True)
    x = rng.normal(size=(table.n_rows, dim)) * spread + offset
    centres = rng.normal(size=(label.max() + 1, dim))
    for clip in range(len(table)):
        rows = slice(table.first_segment[clip], table.first_segment[clip] + table.n_segments[clip])
        x[rows] += centres[label[clip]]
    return x.astype(dtype)


def make_store(
    path, table=None, dataset="birds", upstream="mine", dim=12, seed=0, dtype=np.float32, offset=0.0, views=None
) -> Store:
    """Write a store of random embeddings; a store that stands there is replaced."""
    table = clip_table() if table is None else table
    views = {"last.mean": embeddings(table, dim, seed=seed, dtype=dtype, offset=offset)} if views is None else views
    names = {"dataset": {"name": dataset}, "upstream": {"name": upstream}}
    return write_store(path, views=views, clips=table, **names, replace=True)
