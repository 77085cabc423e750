"""A population of classes and clips with Gaussian embeddings, pools sampled from it, and nearest-centroid episodes on
them."""

import numpy as np


def sample_classes(rng, n_classes, dim):
    """Means and spreads of classes drawn from the population; some classes are far more diffuse than others."""
    return rng.standard_normal((n_classes, dim)), np.exp(0.4 * rng.standard_normal(n_classes))


def sample_clips(rng, means, spreads, n_per_class):
    """Embeddings of `n_per_class` clips of each class, class-major."""
    noise = rng.standard_normal((len(means), n_per_class, means.shape[1]))
    return (means[:, None] + spreads[:, None, None] * noise).reshape(-1, means.shape[1])


def draw_episodes(rng, n_classes, n_per_class, n_episodes, n_way, n_drawn):
    """Clips of each episode, classes and clips without replacement."""
    classes = np.argsort(rng.random((n_episodes, n_classes)), axis=1)[:, :n_way]
    within = np.argsort(rng.random((n_episodes, n_way, n_per_class)), axis=2)[:, :, :n_drawn]
    return classes[:, :, None] * n_per_class + within


def nearest_centroid(embeddings, clips, k_shot):
    """Whether each query is nearest to its own class's support mean; class-major."""
    drawn = embeddings[clips]
    centroids, queries = drawn[:, :, :k_shot].mean(axis=2), drawn[:, :, k_shot:]
    distance = ((queries[:, :, :, None] - centroids[:, None, None]) ** 2).sum(axis=-1)
    right = distance.argmin(axis=-1) == np.arange(clips.shape[1])[None, :, None]
    return right.reshape(len(clips), -1)


def true_accuracy(rng, dim, n_way, n_drawn, k_shot, population=None, n_episodes=60_000):
    """Accuracy over the whole population (or, given classes, over all clips of those), every clip fresh."""
    total = 0.0
    for _ in range(n_episodes // 2000):
        if population is None:
            means, spreads = sample_classes(rng, 2000 * n_way, dim)
        else:
            chosen = np.argsort(rng.random((2000, len(population[0]))), axis=1)[:, :n_way].ravel()
            means, spreads = population[0][chosen], population[1][chosen]
        embeddings = sample_clips(rng, means, spreads, n_drawn)
        clips = np.arange(len(embeddings)).reshape(2000, n_way, n_drawn)
        total += nearest_centroid(embeddings, clips, k_shot).mean() * 2000
    return total / (n_episodes // 2000 * 2000)
