"""Pack scores of queries into few bytes: log-probabilities in half precision, and two arrays to recover the scores.

A block is a zlib stream of the upper bytes of all 16-bit numbers, then of their lower bytes, then of the 32-bit ones:
upper bytes are similar to each other and compress to about half of their size, lower bytes are noise.
"""

import zlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# The largest and smallest numbers of half precision.
_MOST = float(np.finfo(np.float16).max)


class QueryScores(NamedTuple):
    """The log-probabilities of each query for each class of its episode.

    With the sharpness a of an episode, the scores s of a query become the logits a s; `log_probability` is their log-softmax, and
    `normaliser` is log sum exp(a s). So a s = log_probability + normaliser. The sharpness is the calibrated one
    (classifiers/calibration.py).

    Attributes:
      log_probability: natural logarithm of the probability of each class, queries in class-major order; queries of
          unknown classes, if there are any, come after all others.
      normaliser: the normaliser of each query.
      temperature: for each episode, the number by which its logits without calibration were divided.
    """

    log_probability: Float[np.ndarray, "episodes queries n_way"]
    normaliser: Float[np.ndarray, "episodes queries"]
    temperature: Float[np.ndarray, "episodes"]


def query_scores(
    logits: Float[np.ndarray, "episodes queries n_way"], temperature: Float[np.ndarray, "episodes"]
) -> QueryScores:
    """Log-probabilities in half precision.

    Args:
      logits: of each query and class, calibrated.
      temperature: of each episode, the number that the logits without calibration were divided by.

    Returns:
      the scores that are kept; numbers beyond the range of half precision are set to its largest number.
    """
    logits = np.nan_to_num(logits.astype(np.float32, copy=False), nan=0.0, posinf=1e30, neginf=-1e30)
    highest = logits.max(axis=2)
    # First subtract the highest logit, since embeddings of large norm have logits of thousands.
    differences = logits - highest[:, :, None]
    total = np.log(np.exp(differences).sum(axis=2))
    return QueryScores(
        np.clip(differences - total[:, :, None], -_MOST, 0.0).astype(np.float16),
        np.clip(highest + total, -_MOST, _MOST).astype(np.float16),
        temperature.astype(np.float32),
    )


def score_bytes(n_episodes: int, n_queries: int, n_way: int) -> int:
    """The largest number of bytes that `pack_scores` needs.

    Args:
      n_episodes: how many episodes there are.
      n_queries: queries of an episode, those of unknown classes included.
      n_way: classes of an episode.

    Returns:
      Bytes, with zlib's own for data that it cannot shorten.
    """
    raw = n_episodes * (2 * n_queries * (n_way + 1) + 4)
    return raw + 5 * (raw // 16_383 + 1) + 6


def pack_scores(scores: QueryScores) -> bytes:
    """Pack scores.

    Args:
      scores: of all queries of a cell.

    Returns:
      The packed bytes; `unpack_scores` needs the numbers of episodes, queries and classes.
    """
    halves = np.concatenate([scores.log_probability.ravel(), scores.normaliser.ravel()]).astype("<f2")
    planes = halves.view(np.uint8).reshape(-1, 2)
    coder = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    parts = planes[:, 1].tobytes(), planes[:, 0].tobytes(), scores.temperature.astype("<f4").tobytes()
    return b"".join([*(coder.compress(part) for part in parts), coder.flush()])


def unpack_scores(data: bytes, shape: tuple[int, int, int]) -> QueryScores:
    """The scores that `pack_scores` packed.

    Args:
      data: the packed bytes.
      shape: episodes, queries per episode, and classes.

    Returns:
      The scores, log-probabilities and normalisers in half precision.

    Raises:
      ValueError: if the bytes are not those of such scores.
    """
    n_episodes, n_queries, n_way = shape
    n = n_episodes * n_queries * (n_way + 1)
    size = 2 * n + 4 * n_episodes
    try:
        decoder = zlib.decompressobj()
        raw = decoder.decompress(data, size + 1)
    except (zlib.error, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or f"{n} scores were expected") from error
    if len(raw) != size or not decoder.eof:
        raise ValueError(f"{n} scores were expected")
    planes = np.frombuffer(raw, np.uint8, 2 * n).reshape(2, n)
    halves = np.ascontiguousarray(planes[::-1].T).view("<f2").ravel().astype(np.float16)
    split = n_episodes * n_queries * n_way
    return QueryScores(
        halves[:split].reshape(shape),
        halves[split:].reshape(n_episodes, n_queries),
        np.frombuffer(raw, "<f4", n_episodes, 2 * n).astype(np.float32),
    )
