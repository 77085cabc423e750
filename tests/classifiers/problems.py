"""Few-shot problems on synthetic embeddings in the regimes that matter, for the classifiers' tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jfewshot.classifiers import Support

N_EPISODES = 24
# (mean cosine between embeddings, their norm): centred, as speech encoders' are, and as those are before normalisation.
REGIMES = {"centred": (0.0, 1.0), "shared mean": (0.9, 1.0), "large norm": (0.9, 100.0)}


def episodes(n_way, k_shot, n_query, regime, seed=0, dim=96, n_episodes=N_EPISODES):
    """Float64 embeddings: supports [episodes, n_way * k_shot, dim], queries [episodes, n_way * n_query, dim]."""
    cosine, norm = REGIMES[regime]
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=dim)
    centres = rng.normal(size=(n_episodes, n_way, 1, dim))
    noise = rng.normal(size=(n_episodes, n_way, k_shot + n_query, dim))
    x = (0.6 * centres + noise) / np.sqrt(1.36)
    x = np.sqrt(cosine) * shared + np.sqrt(1 - cosine) * x
    x *= norm / np.linalg.norm(x, axis=-1, keepdims=True)
    shape = (n_episodes, -1, dim)
    return x[:, :, :k_shot].reshape(shape), x[:, :, k_shot:].reshape(shape)


def as_problem(support, query, n_way, origin=None, dtype=np.float32):
    """The Gram blocks that the evaluator would hand over, episodes last.

    Args:
      origin: subtracted from all embeddings first (what the evaluator does for translation-invariant classifiers).
    """
    origin = 0.0 if origin is None else origin
    s, q = ((x - origin).astype(dtype) for x in (support, query))
    n_episodes, n_support = s.shape[:2]
    gram_ss = np.einsum("eid,ejd->ije", s, s)
    gram_qs = np.einsum("eid,ejd->ije", q, s)
    problem = Support(
        gram=jnp.asarray(gram_ss),
        episode=jnp.arange(n_episodes, dtype=jnp.uint32),
        key=jnp.array([1, 2], jnp.uint32),
        n_way=n_way,
        k_shot=n_support // n_way,
    )
    return problem, jnp.asarray(gram_qs)


def store_mean(support, query):
    """What the evaluator takes as the origin: the mean of all embeddings."""
    return np.concatenate([support, query], 1).mean((0, 1))


@functools.partial(jax.jit, static_argnames="classifier")
def _fit_and_score(classifier, problem, gram_qs, strength):
    model, diagnostics = classifier.fit(problem, strength)
    return classifier.score(model, problem, gram_qs), diagnostics


def scores_of(classifier, support, query, n_way, strength=1.0, dtype=np.float32):
    """Scores [episodes, queries, n_way] and diagnostics, the way the evaluator computes them."""
    origin = store_mean(support, query) if classifier.translation_invariant else None
    problem, gram_qs = as_problem(support, query, n_way, origin, dtype)
    scores, diagnostics = _fit_and_score(classifier, problem, gram_qs, jnp.asarray(strength, gram_qs.dtype))
    return np.moveaxis(np.asarray(scores), -1, 0), diagnostics


def in_their_span(support, query):
    """The same problems in coordinates of each episode's support span: what a linear classifier with an isotropic penalty
    sees of them, in far fewer dimensions, so that the references are quick."""
    bases = [np.linalg.qr(s.T)[0] for s in support]
    reduced = [(s @ basis, q @ basis) for s, q, basis in zip(support, query, bases, strict=True)]
    return np.stack([s for s, _ in reduced]), np.stack([q for _, q in reduced])


def margins(scores):
    """How far the best score is ahead of the second, per query."""
    ordered = np.sort(scores, -1)
    return ordered[..., -1] - ordered[..., -2]
