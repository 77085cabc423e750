"""Writes the numbers of benchmarks/measured into the pages that print them: `python -m benchmarks.numbers.fill`.

Run this command after a study or a benchmark was run again. Only numbers change: rows, columns and words stay. So read the
changes (`git diff docs`), because a sentence may now contradict its numbers. benchmarks/numbers/printed lists what is filled in.
"""

import sys

from benchmarks.numbers.pages import ROOT
from benchmarks.numbers.printed import SENTENCES, TABLES


def main() -> int:
    """Fill in the numbers, and print what changed; the exit status is 1 if a number could not be filled in."""
    left = []
    for claim in [*TABLES, *SENTENCES]:
        try:
            changed = list(claim.differences())
            if changed:
                path = ROOT / claim.page
                path.write_text(claim.filled(path.read_text(encoding="utf-8")), encoding="utf-8")
                sys.stdout.writelines(f"{line}\n" for line in changed)
                left += claim.differences()
        except (LookupError, ValueError) as error:
            left.append(f"{claim.page}: {error}")
    sys.stderr.writelines(f"not filled in: {line}\n" for line in left)
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
