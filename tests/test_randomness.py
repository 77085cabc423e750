import hashlib

import jax.numpy as jnp
import numpy as np

from jfewshot.randomness import below, random_pairs, stream_key


def test_pairs_are_threefry_with_the_episode_and_the_number_as_its_counter():
    # The known answers of Random123's threefry2x32 with 20 rounds: (key, counter, result).
    known = [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ]
    for key, (episode, number), words in known:
        drawn = random_pairs(
            jnp.array(key, jnp.uint32), jnp.array([episode], jnp.uint32), jnp.array([number], jnp.uint32)
        )
        assert tuple(int(word[0]) for word in drawn) == words


def test_each_pair_depends_on_its_own_episode_and_number_alone():
    key = jnp.array([3, 4], jnp.uint32)
    episode, number = (jnp.asarray(x, jnp.uint32) for x in np.mgrid[10:14, 0:5])
    together = random_pairs(key, episode, number)
    one = random_pairs(key, episode[2:3, 3:4], number[2:3, 3:4])
    assert together[0].shape == (4, 5)
    for all_words, word in zip(together, one, strict=True):
        assert int(all_words[2, 3]) == int(word[0, 0])
    assert len(np.unique(np.stack(together))) == 40


def test_a_stream_is_named_by_the_first_64_bits_of_a_hash():
    digest = hashlib.sha256(b"42\x1fabc\x1fepisodes").digest()
    expected = [int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")]
    assert stream_key(42, "abc", "episodes").tolist() == expected
    assert stream_key("4", "2abc", "episodes").tolist() != expected


def test_below_is_the_upper_half_of_the_64_bit_product():
    rng = np.random.default_rng(0)
    edges = np.array([0, 1, 2, 0xFFFF, 0x10000, 0x10001, 2**31, 2**32 - 2, 2**32 - 1], np.uint32)
    words = np.concatenate([edges, rng.integers(0, 2**32, 2000, dtype=np.uint32)])
    bounds = np.concatenate([[1, 2, 3, 255, 0xFFFF, 0x10000, 0x10001, 2**24 - 1, 2**24], rng.integers(1, 2**24, 40)])
    for bound in bounds.tolist():
        found = below(jnp.asarray(words), jnp.uint32(bound))
        assert found.tolist() == [int(word) * bound >> 32 for word in words.tolist()]
