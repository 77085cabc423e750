"""TIMIT's phones: 61 are transcribed, 48 of their classes are trained on, 39 are scored (Lee and Hon, 1989)."""

from collections.abc import Iterable

# Each entry: transcribed phone, trained phone, scored phone. The glottal stop q is left out.
_TABLE = """
aa aa aa | ae ae ae | ah ah ah | ao ao aa | aw aw aw | ax ax ah | ax-h ax ah | axr er er | ay ay ay
b b b | bcl vcl sil | ch ch ch | d d d | dcl vcl sil | dh dh dh | dx dx dx | eh eh eh | el el l | em m m
en en n | eng ng ng | epi epi sil | er er er | ey ey ey | f f f | g g g | gcl vcl sil | h# sil sil
hh hh hh | hv hh hh | ih ih ih | ix ix ih | iy iy iy | jh jh jh | k k k | kcl cl sil | l l l | m m m
n n n | ng ng ng | nx n n | ow ow ow | oy oy oy | p p p | pau sil sil | pcl cl sil | r r r | s s s
sh sh sh | t t t | tcl cl sil | th th th | uh uh uh | uw uw uw | ux uw uw | v v v | w w w | y y y | z z z
zh zh sh
"""
_ROWS = [entry.split() for line in _TABLE.split("\n") for entry in line.split("|") if entry.strip()]

LEFT_OUT = "q"
TO_48: dict[str, str] = {phone: middle for phone, middle, _ in _ROWS}
TO_39: dict[str, str] = {middle: last for _, middle, last in _ROWS}
PHONES_61 = frozenset({*TO_48, LEFT_OUT})


def fold_to_48(phones: Iterable[str]) -> list[str]:
    """Replace transcribed phones by the phones that are trained on; glottal stops are left out.

    Raises:
      KeyError: if a phone is not one of the 61.
    """
    return [TO_48[phone] for phone in phones if phone != LEFT_OUT]


def fold_to_39(phones: Iterable[str]) -> list[str]:
    """Replace trained phones by scored phones. Neighbours that become equal (closure and silence) stay two phones."""
    return [TO_39[phone] for phone in phones]
