"""Pack labels and counts into few bytes.

A label of an n-way episode is stored as its difference from the true slot, modulo n_way, so that correct predictions
are zeros. Each byte holds as many values as fit, as digits in base n_way (three for 5-way: 5**3 = 125). zlib's Huffman
code then compresses the bytes to about their entropy: 5-way labels of which 60% are correct take 1.8 bits each. zlib's
search for repeated strings is switched off, because predictions have no repetitions and the search would only take
time.
"""

import zlib

import numpy as np
from jaxtyping import Integer

_VALUES_OF_A_BYTE = 256


def values_per_byte(base: int) -> int:
    """How many digits in a base fit a byte: 8 for 2, 3 for 5, 1 from 17 to 256, and 0 above.

    Args:
      base: number of different values.

    Returns:
      The largest k with base**k at most 256.
    """
    count = 0
    while base ** (count + 1) <= _VALUES_OF_A_BYTE:
        count += 1
    return count


def packed_bytes(n_values: int, base: int) -> int:
    """The largest number of bytes that `pack` needs for a number of values.

    Args:
      n_values: how many values there are.
      base: number of different values.

    Returns:
      The number of bytes, including zlib's overhead for data that it cannot compress.
    """
    per_byte = values_per_byte(base)
    raw = -(-n_values // per_byte) if per_byte else 2 * n_values
    return raw + 5 * (raw // 16_383 + 1) + 6


def pack(values: Integer[np.ndarray, "..."], base: int) -> bytes:
    """Pack small numbers.

    Args:
      values: each from 0 to base - 1.
      base: number of different values, at most 65,536.

    Returns:
      The packed bytes; `unpack` needs the number of values and the base.
    """
    flat = values.ravel()
    per_byte = values_per_byte(base)
    if per_byte == 0:
        raw = flat.astype("<u2").tobytes()
    else:
        digits = np.zeros((-(-flat.size // per_byte), per_byte), np.uint8)
        digits.reshape(-1)[: flat.size] = flat
        packed = digits[:, 0].copy()
        for place in range(1, per_byte):
            packed += digits[:, place] * np.uint8(base**place)
        raw = packed.tobytes()
    coder = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(raw) + coder.flush()


def unpack(data: bytes, n_values: int, base: int) -> Integer[np.ndarray, " n_values"]:
    """The numbers that `pack` packed.

    Args:
      data: the packed bytes.
      n_values: how many values they hold.
      base: number of different values.

    Returns:
      uint8 or uint16 array.

    Raises:
      ValueError: if the bytes do not hold exactly this number of values.
    """
    per_byte = values_per_byte(base)
    size = -(-n_values // per_byte) if per_byte else 2 * n_values
    try:
        decoder = zlib.decompressobj()
        raw = decoder.decompress(data, size + 1)
    except (zlib.error, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or f"{n_values} values were expected") from error
    if len(raw) != size or not decoder.eof:
        raise ValueError(f"{n_values} values were expected")
    if per_byte == 0:
        return np.frombuffer(raw, "<u2").astype(np.uint16)
    table = (np.arange(_VALUES_OF_A_BYTE)[:, None] // base ** np.arange(per_byte) % base).astype(np.uint8)
    return table[np.frombuffer(raw, np.uint8)].reshape(-1)[:n_values]


def pack_labels(predicted: Integer[np.ndarray, "episodes queries"], n_way: int) -> bytes:
    """Pack predicted slots.

    Args:
      predicted: the slot that each query was assigned to, 0 to n_way - 1, in class-major order.
      n_way: slots per episode.

    Returns:
      The packed bytes.

    Raises:
      ValueError: if a slot does not exist.
    """
    if predicted.size and not (predicted.min() >= 0 and predicted.max() < n_way):
        raise ValueError(f"a predicted slot is not one of {n_way}")
    distance = predicted.astype(np.int32) - _right_slots(predicted.shape[1], n_way)
    return pack(np.where(distance < 0, distance + n_way, distance), n_way)


def unpack_labels(data: bytes, shape: tuple[int, int], n_way: int) -> Integer[np.ndarray, "episodes queries"]:
    """The predicted slots that `pack_labels` packed.

    Args:
      data: the packed bytes.
      shape: episodes and queries per episode.
      n_way: slots per episode.

    Returns:
      int8 array up to 127 ways, int16 above.

    Raises:
      ValueError: if the bytes are not those of such an array.
    """
    distance = unpack(data, shape[0] * shape[1], n_way).reshape(shape).astype(np.int32)
    slot = distance + _right_slots(shape[1], n_way)
    slot[slot >= n_way] -= n_way
    return slot.astype(np.int8 if n_way <= np.iinfo(np.int8).max else np.int16)


def _right_slots(n_queries: int, n_way: int) -> np.ndarray:
    return np.arange(n_queries, dtype=np.int32) // (n_queries // n_way)
