"""One scratch folder of embeddings for all tests of the benchmarks."""

import pytest


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("embeddings")
