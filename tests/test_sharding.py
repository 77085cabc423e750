import itertools

import pytest

from jfewshot.errors import UserError
from jfewshot.sharding import Shard


@pytest.mark.parametrize(("count", "work"), [(1, 5), (3, 10), (4, 3)])
def test_the_shards_together_own_every_piece_of_work_once(count, work):
    owners = [[n for n in range(work) if Shard.parse(f"{index}/{count}").owns(n)] for index in range(count)]
    assert sorted(itertools.chain(*owners)) == list(range(work))
    assert max(map(len, owners)) - min(map(len, owners)) <= 1


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/2", "1/0", "", "1/", "/2", "²/3", "1/2/3"])
def test_a_shard_that_makes_no_sense_is_refused(text):
    with pytest.raises(UserError, match="write i/n with i from 0 to n-1"):
        Shard.parse(text)
