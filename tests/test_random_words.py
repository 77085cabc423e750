"""Random words against JAX's own Threefry, the vectors that its authors published, and what independent words must be."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jfewshot.randomness import below, random_pairs, random_words, stream_key

# A fair stream falls below this once in 100,000 keys; the keys here are fixed.
LEAST_P = 1e-5
KEY = stream_key(42, "a digest", "episodes")


def words_of(episodes, numbers, which=0, key=KEY):
    key = jnp.asarray(key)
    arrays = [jnp.asarray(x, jnp.uint32) for x in (episodes, numbers)]
    return np.asarray(jax.jit(lambda e, n: random_words((key[0], key[1]), e, n, which))(*arrays))


@pytest.mark.parametrize(("key", "counter", "words"), [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
])  # fmt: skip
def test_words_are_those_of_the_published_vectors(key, counter, words):
    # Random123's kat_vectors, threefry2x32 with 20 rounds.
    key = np.array(key, np.uint32)
    assert tuple(int(words_of([counter[0]], [counter[1]], which, key)[0]) for which in (0, 1)) == words


def test_words_written_out_are_those_of_jax():
    rng = np.random.default_rng(0)
    episode, number = rng.integers(2**32, size=(2, 3, 1000), dtype=np.uint32)
    first, second = random_pairs(jnp.asarray(KEY), jnp.asarray(episode), jnp.asarray(number))
    np.testing.assert_array_equal(words_of(episode, number), first)
    np.testing.assert_array_equal(words_of(episode, number, 1), second)


def test_counters_and_keys_are_broadcast():
    episode, number = np.arange(7, dtype=np.uint32), np.arange(5, dtype=np.uint32)[:, None]
    together = words_of(episode, number)
    assert together.shape == (5, 7)
    assert together[3, 4] == words_of([4], [3])[0]
    attempts = jnp.asarray([0, 9], jnp.uint32)[:, None]
    second = jnp.uint32(KEY[1]) + attempts
    found = random_words((jnp.uint32(KEY[0]), second), jnp.asarray(episode), jnp.uint32(3))
    other = np.array([KEY[0], KEY[1] + np.uint32(9)])
    np.testing.assert_array_equal(found, np.stack([together[3], words_of(episode, 3, key=other)]))


def test_the_shorter_product_gives_the_same_number():
    rng = np.random.default_rng(0)
    word = np.concatenate([rng.integers(2**32, size=100_000, dtype=np.uint32), np.array([0, 1, 2**32 - 1], np.uint32)])
    for bound in (1, 2, 3, 40, 255, 256, 10_007, 65_534, 65_535):
        exact = (word.astype(np.uint64) * np.uint64(bound)) >> np.uint64(32)
        for short in (False, True):
            np.testing.assert_array_equal(below(jnp.asarray(word), jnp.uint32(bound), bound_has_16_bits=short), exact)


def _bits(words):
    return (words[..., None] >> np.arange(32, dtype=np.uint32)) & 1


STREAMS = {
    "first words of many episodes": lambda n: words_of(np.arange(n), 5),
    "second words of many episodes": lambda n: words_of(np.arange(n), 5, 1),
    "numbers of one episode": lambda n: words_of(7, np.arange(n)),
    "slots of one episode": lambda n: words_of(7, np.arange(n, dtype=np.uint32) << 16),
    "keys that are neighbours": lambda n: np.asarray(
        random_words(
            (jnp.uint32(KEY[0]), jnp.uint32(KEY[1]) + jnp.arange(n, dtype=jnp.uint32)), jnp.uint32(1), jnp.uint32(2)
        )
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_words_are_uniform_in_each_byte_and_independent_from_one_counter_to_the_next(name):
    n = 2**16
    words = STREAMS[name](n)
    for shift in (0, 8, 16, 24):
        byte = (words >> shift) & 255
        assert scipy.stats.chisquare(np.bincount(byte, minlength=256)).pvalue > LEAST_P
        pairs = np.bincount((byte[:-1] >> 3) * 32 + (byte[1:] >> 3), minlength=1024)
        assert scipy.stats.chisquare(pairs).pvalue > LEAST_P
    # No bit says anything of another, in the same word or in the next: 32 x 64 correlations, each within chance.
    bits = _bits(words).astype(np.float64) - 0.5
    both = np.concatenate([bits[:-1], bits[1:]], 1)
    correlation = 4 * both.T @ both / len(both)
    np.fill_diagonal(correlation, 0)
    assert abs(correlation).max() * np.sqrt(n) < 5.5


def test_one_changed_bit_of_a_counter_changes_half_of_the_word():
    rng = np.random.default_rng(1)
    episode, number = rng.integers(2**32, size=(2, 2000), dtype=np.uint32)
    before = words_of(episode, number)
    for bit, of_episode in itertools.product(range(32), (True, False)):
        flip = np.uint32(1 << bit)
        after = words_of(episode ^ flip, number) if of_episode else words_of(episode, number ^ flip)
        changed = _bits(before ^ after).mean(0)
        assert abs(changed - 0.5).max() < 5.5 * 0.5 / np.sqrt(2000)


def test_the_two_words_of_a_pair_are_independent():
    first, second = (words_of(np.arange(2**16), 3, which) for which in (0, 1))
    table = np.bincount((first >> 27) * 32 + (second >> 27), minlength=1024)
    assert scipy.stats.chisquare(table).pvalue > LEAST_P
