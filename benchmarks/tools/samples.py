"""The sample stores, which studies and benchmarks evaluate."""

from jfewshot.store import Store, find_stores, open_store
from jfewshot.store.reading import sample_stores


def opened_samples() -> list[Store]:
    """The 32 sample stores: eight encoders on each of four datasets, in the order of their paths."""
    return [open_store(path) for path in sorted(find_stores(sample_stores()))]
