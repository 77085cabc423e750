"""The beam search: wide enough, it finds what writing out every transcript finds; its scores are the training loss's."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.downstream.asr import ctc
from jfewshot.downstream.asr.beam import LanguageTable, beam_search, searcher
from jfewshot.downstream.asr.losses import transcript_log_probs
from jfewshot.downstream.asr.model import Recogniser
from jfewshot.downstream.asr.settings import BeamConfig, DecoderConfig
from jfewshot.training.model import drawer, model_builder

N_UNITS, DIM, LONGEST = 3, 6, 4
N_FRAMES = jnp.array([7, 5, 3])
CONFIG = DecoderConfig(n_layers=1, d_model=8, d_ff=16, n_heads=2)


def make(rngs):
    return Recogniser(DIM, N_UNITS, CONFIG, rngs=rngs)


@pytest.fixture(scope="module")
def setup():
    """A small model with peaked scores, frames, and log-probabilities of every transcript up to LONGEST units."""
    params = {
        name: value * (6.0 if "output.kernel" in name or "ctc.kernel" in name else 1.0)
        for name, value in drawer(make)(3).items()
    }
    build = model_builder(make)
    frames = jnp.asarray(np.random.default_rng(0).standard_normal((3, 8, DIM)), jnp.float32)
    texts = [text for n in range(LONGEST + 1) for text in itertools.product(range(1, N_UNITS), repeat=n)]
    padded = jnp.array([list(text) + [0] * (LONGEST - len(text)) for text in texts])
    lengths = jnp.array([len(text) for text in texts])

    @jax.jit
    def of_all(params, frames, n_frames):
        model = build(params)
        many = jnp.broadcast_to(frames, (len(texts), *frames.shape))
        found = transcript_log_probs(model, many, jnp.full(len(texts), n_frames), padded, lengths)
        return jnp.where(found.is_possible, found.ctc, ctc.NOTHING), found.attention

    every = [of_all(params, frames[row], N_FRAMES[row]) for row in range(3)]
    log_probs = jax.nn.log_softmax(build(params).ctc_logits(frames))
    return params, build, frames, log_probs, texts, np.asarray(lengths), np.asarray(every)


searchers = {}


def search(setup, config, table=None, n_frames=N_FRAMES, longest=LONGEST):
    params, build, frames, log_probs, *_ = setup
    # Kept, so that tests of the same settings compile once.
    run = searchers.setdefault(config, searcher(build, True, config))
    return run(params, frames, log_probs, jnp.asarray(n_frames), table, longest)


def expected(setup, config, table=None):
    """(rows, transcripts): the score of each, by the training loss's parts."""
    *_, texts, lengths, every = setup
    ctc_part, attention = every[:, 0], every[:, 1]
    scores = (1 - config.ctc_weight) * attention + config.unit_bonus * lengths
    if config.ctc_weight:
        scores = scores + config.ctc_weight * ctc_part
    if table is not None:
        for number, text in enumerate(texts):
            state, total = 0, 0.0
            for unit in text:
                total += table.log_probs[state, unit]
                state = table.following[state, unit]
            scores[:, number] += config.lm_weight * (total + table.log_probs[state, 0])
    return scores


def language(seed=5, states=4):
    rng = np.random.default_rng(seed)
    log_probs = np.asarray(jax.nn.log_softmax(3 * rng.standard_normal((states, N_UNITS))), np.float32)
    return LanguageTable(log_probs, rng.integers(0, states, (states, N_UNITS)).astype(np.int32))


CASES = {
    "joint": BeamConfig(size=16, ctc_weight=0.4, n_best=5),
    "attention alone": BeamConfig(size=16, ctc_weight=0.0, n_best=5),
    "ctc alone": BeamConfig(size=16, ctc_weight=1.0, n_best=5),
    "a bonus": BeamConfig(size=16, ctc_weight=0.3, n_best=5, unit_bonus=1.5),
    "few candidates": BeamConfig(size=16, ctc_weight=0.3, n_best=2, candidates=2),
}


@pytest.mark.parametrize(
    ("name", "with_lm"),
    [
        ("joint", False),
        ("joint", True),
        ("attention alone", False),
        ("ctc alone", True),
        ("a bonus", False),
        pytest.param("few candidates", True, marks=pytest.mark.slow),
    ],
)
def test_a_full_beam_finds_the_best_of_all_transcripts_with_the_loss_s_scores(setup, name, with_lm):
    config, table = CASES[name], language() if with_lm else None
    found = jax.device_get(search(setup, config, table))
    scores, texts = expected(setup, config, table), setup[4]
    for row in range(3):
        order = np.argsort(-scores[row], kind="stable")[: config.n_best]
        for rank, number in enumerate(order):
            if scores[row, number] < ctc.POSSIBLE:
                assert found.scores[row, rank] < ctc.POSSIBLE
                continue
            units = found.units[row, rank, : found.n_units[row, rank]].tolist()
            assert units == list(texts[number])
            assert found.scores[row, rank] == pytest.approx(scores[row, number], abs=1e-4)


def test_a_narrow_beam_is_never_better(setup):
    best = expected(setup, CASES["joint"]).max(axis=1)
    found = search(setup, BeamConfig(size=1, ctc_weight=0.4))
    assert np.all(np.asarray(found.scores)[:, 0] <= best + 1e-4)


def test_padding_and_company_change_nothing(setup):
    params, build, frames, _, *_ = setup
    config, n_padded = CASES["joint"], 11
    together = search(setup, config)
    for row in range(3):
        n = int(N_FRAMES[row])
        alone = jnp.concatenate([frames[row : row + 1, :n], jnp.full((1, n_padded - n, DIM), 1e3)], axis=1)
        of_alone = jax.nn.log_softmax(build(params).ctc_logits(alone))
        found = searchers[config](params, alone, of_alone, N_FRAMES[row : row + 1], None, LONGEST)
        assert found.scores[0, 0] == pytest.approx(float(together.scores[row, 0]), abs=1e-5)
        np.testing.assert_array_equal(found.units[0, 0], together.units[row, 0])


def test_an_utterance_without_frames_is_silent(setup):
    found = search(setup, CASES["joint"], n_frames=jnp.array([0, 5, 3]))
    assert found.n_units[0, 0] == 0
    assert found.scores[0, 0] > ctc.POSSIBLE


def test_the_search_stops_once_nothing_can_overtake(setup, monkeypatch):
    """With certain ends, no step is taken for nothing: the decoder is asked as often as the answer is long, and once more."""
    *_, log_probs, _, _, _ = setup
    taken = []

    class Sure:
        def empty_cache(self, batch, beam, longest):
            return jnp.zeros((batch, beam))

        def step(self, last, place, cache, seen, n_frames):
            jax.debug.callback(lambda place: taken.append(int(place)), place)
            wanted = jnp.where(place < 1, 1, 0)
            scores = jnp.where(jnp.arange(N_UNITS) == wanted, -1e-3, -50.0)
            return jnp.broadcast_to(scores, (*last.shape, N_UNITS)), cache

    found = jax.jit(lambda: beam_search(log_probs, jnp.asarray(N_FRAMES), Sure(), None, None, BeamConfig(4, 0.0), 30))()
    jax.effects_barrier()
    assert found.n_units[:, 0].tolist() == [1, 1, 1]
    assert max(taken) <= 2


def test_the_search_is_compiled_once_for_a_shape(setup):
    config = CASES["attention alone"]
    for n_frames in (N_FRAMES, N_FRAMES - 1):
        search(setup, config, n_frames=n_frames)
    assert searchers[config]._cache_size() == 1
