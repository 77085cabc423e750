"""Damage for files: bytes flipped, cut, doubled and exchanged; values of JSON, CSV and arrays that no reader expects."""

import copy
import io
import json
import re
import zipfile

import numpy as np

DIGITS = "7" * 5_000
# In place of a number. JSON has no words for the last three, and Python's reader takes them.
NUMBERS = (
    *("0", "-1", "1", "3", "255", "2147483648", "4294967296", "9007199254740993", "1125899906842624"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "1e308", "1e999", "-0.0", "0.5", "1e-320"),
    *(DIGITS, "NaN", "Infinity", "-Infinity"),
)
TEXTS = (
    "",
    " ",
    "../x",
    "/etc/passwd",
    "a\nb",
    "=1+1",
    "x" * 300,
    "名" * 100,
    "NaN",
    "none",
    ".",
    "a/b",
    "\x1b[31m",
    "$",
)
HOSTILE = (b"\0", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\r", b"\n", b'"', b"'", b"[" * 50_000, b'{"a":' * 20_000)
_PLACE = "@@a value@@"


def damaged(data, rng):
    """Bytes with one to three pieces of damage that knows nothing of the file's kind.

    Args:
      data: the bytes of a sound file.
      rng: NumPy generator.
    """
    for _ in range(rng.integers(1, 4)):
        data = _BYTES[rng.integers(len(_BYTES))](data, rng) if data else data
    return data


def _span(data, rng):
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(rng.integers(1, 65)))


def _flip(data, rng):
    changed = bytearray(data)
    for place in rng.integers(len(data), size=rng.integers(1, 9)):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(data, rng):
    return data[: int(rng.integers(len(data)))]


def _remove(data, rng):
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _double(data, rng):
    start, end = _span(data, rng)
    return data[:end] + data[start:end] + data[end:]


def _exchange(data, rng):
    (a, b), (c, d) = sorted((_span(data, rng), _span(data, rng)))
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _insert(data, rng):
    place = int(rng.integers(len(data) + 1))
    return data[:place] + HOSTILE[rng.integers(len(HOSTILE))] + data[place:]


def _other_number(data, rng):
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data[:200_000]))
    if not found:
        return _flip(data, rng)
    one = found[rng.integers(len(found))]
    return data[: one.start()] + NUMBERS[rng.integers(len(NUMBERS))].encode() + data[one.end() :]


def _lines_exchanged(data, rng):
    lines = data.splitlines(keepends=True)
    a, b = rng.integers(len(lines), size=2)
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


_BYTES = (_flip, _cut, _remove, _double, _exchange, _insert, _other_number, _other_number, _lines_exchanged)


def damaged_json(value, rng):
    """The bytes of JSON with one node replaced, removed or renamed.

    Args:
      value: what a sound file holds.
      rng: NumPy generator.

    Returns:
      The text, and the value if it is one that Python's `json` can write again, else None.
    """
    value = copy.deepcopy(value)
    nodes = list(_nodes(value))
    holder, at = nodes[rng.integers(len(nodes))]
    choice = rng.integers(10)
    if choice == 0:
        del holder[at]
    elif choice == 1 and isinstance(holder, dict):
        holder[TEXTS[rng.integers(len(TEXTS))]] = holder.pop(at)
    elif choice == 2:
        other, place = nodes[rng.integers(len(nodes))]
        holder[at] = copy.deepcopy(other[place])
    elif choice < 6:
        holder[at] = _PLACE
        return json.dumps(value).replace(f'"{_PLACE}"', _raw(rng)), None
    else:
        holder[at] = _another(holder[at], rng)
    return json.dumps(value), value


def _nodes(value):
    for at in value if isinstance(value, dict) else range(len(value)):
        yield value, at
        if isinstance(value[at], dict | list):
            yield from _nodes(value[at])


def _raw(rng):
    deep = int(rng.integers(20, 3000))
    return (
        *NUMBERS,
        "[" * deep + "]" * deep,
        '{"a":' * deep + "1" + "}" * deep,
        '"\\ud800"',
        '"\\u0000"',
        '"\x01"',
        "tru",
        '{"a": 1, "a": 2}',
    )[rng.integers(len(NUMBERS) + 7)]


def _another(value, rng):
    """A value of another type, or of the same with other contents."""
    if isinstance(value, bool) or rng.integers(2):
        return (None, True, [], {}, [value], {"name": value}, [None], 3, -7, 0.25, "text", "")[rng.integers(12)]
    if isinstance(value, int | float):
        return float(value) * 1.5 if rng.integers(2) else int(value) + 1
    if isinstance(value, str):
        return TEXTS[rng.integers(len(TEXTS))]
    return value * 2 if isinstance(value, list) else {}


def damaged_header(data, rng):
    """Binary data with one number of 2, 4 or 8 bytes among the first hundred bytes replaced by a hostile one.

    Args:
      data: of a sound file.
      rng: NumPy generator.
    """
    width = (2, 4, 8)[rng.integers(3)]
    place = 2 * int(rng.integers(50))
    number = (0, 1, -1, 2, 255, 2**15, 2**31 - 1, 2**31, 2**62, 16, 44_100, int(rng.integers(2**31)))[rng.integers(12)]
    value = (number % 2 ** (8 * width)).to_bytes(width, ("little", "big")[rng.integers(2)])
    return data[:place] + value + data[place + width :]


def damaged_cells(text, rng):
    """A table with one or two cells replaced, rows exchanged or fields added.

    Args:
      text: CSV without quotes.
      rng: NumPy generator.
    """
    rows = [line.split(",") for line in text.splitlines()]
    for _ in range(rng.integers(1, 3)):
        row = int(rng.integers(len(rows)))
        column = int(rng.integers(len(rows[row])))
        choice = rng.integers(6)
        if choice == 0:
            rows[row].append(TEXTS[rng.integers(len(TEXTS))])
        elif choice == 1:
            rows.insert(row, list(rows[int(rng.integers(len(rows)))]))
        elif choice == 2 and len(rows[row]) > 1:
            del rows[row][column]
        else:
            values = NUMBERS if rng.integers(2) else TEXTS
            rows[row][column] = values[rng.integers(len(values))]
    return "\n".join(map(",".join, rows)).encode("utf-8", "surrogatepass") + b"\n"


def damaged_npy(data, rng):
    """An .npy file whose header tells another shape or type, or that lacks or has too many bytes.

    Args:
      data: of a sound file.
      rng: NumPy generator.
    """
    end = data.index(b"\n") + 1
    header, body = data[10:end].decode("latin-1"), data[end:]
    choice = rng.integers(6)
    if choice == 0:
        header = re.sub(r"\([^)]*\)", _SHAPES[rng.integers(len(_SHAPES))], header, count=1)
    elif choice == 1:
        header = re.sub(r"'[<>|=][^']*'", f"'{_TYPES[rng.integers(len(_TYPES))]}'", header, count=1)
    elif choice == 2:
        header = header.replace("False", ("True", "None", "0", "[" * 3000)[rng.integers(4)])
    elif choice == 3:
        body = body[: int(rng.integers(len(body)))]
    elif choice == 4:
        numbers = np.frombuffer(body, "<f4").copy()
        numbers[rng.integers(len(numbers))] = (np.nan, np.inf, 3e38, 0.0)[rng.integers(4)]
        body = numbers.tobytes()
    else:
        return damaged(data[:end], rng) + body
    coded = header.encode("latin-1")
    return data[:8] + len(coded).to_bytes(2, "little") + coded + body if len(coded) < 65_536 else data[:7]


_SHAPES = (
    "()",
    "(0,)",
    "(30, 0)",
    "(-1, 4)",
    "(1099511627776, 4)",
    "(2, 2, 2)",
    "(30.0, 4)",
    "('a', 4)",
    "(30,)",
    "[30, 4]",
)
_TYPES = ("|O", "<f8", "<U3", ">f4", "<i4", "|V4", "<c8", "<M8[s]", "|b1", "<f2", "nonsense", "<f4,<f4", "<U99999999")


def damaged_npz(data, rng):
    """An .npz file of which one array is missing, renamed, or of other values, type or shape.

    Args:
      data: of a sound file.
      rng: NumPy generator.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    array = np.load(io.BytesIO(members[name]), allow_pickle=False)
    choice = rng.integers(6)
    if choice == 0:
        del members[name]
    elif choice == 1:
        members[("x", "../x.npy", "clips.npy", "")[rng.integers(4)]] = members.pop(name)
    elif choice == 2:
        members[name] = damaged(members[name], rng)
    else:
        changed = array.reshape(-1).copy()
        if changed.size and changed.dtype.kind in "iu":
            changed[rng.integers(changed.size)] = np.iinfo(changed.dtype).max
        elif changed.size:
            changed[rng.integers(changed.size)] = changed[0]
        made = (
            np.full(array.shape, b"\xff"),
            np.full(array.shape, -1, np.int32).view("<U1"),
            changed.reshape(array.shape),
            changed.astype("U8"),
            changed[:0],
            array[None],
            array[:-1] if array.ndim else array,
        )
        buffer = io.BytesIO()
        np.save(buffer, made[rng.integers(len(made))])
        members[name] = buffer.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member or "y", content)
    return out.getvalue()
