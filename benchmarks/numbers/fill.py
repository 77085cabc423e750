"""Write the numbers of benchmarks/measured into the pages that print them: `python -m benchmarks.numbers.fill`.

After a study or a benchmark was run again. Rows, columns and the words of sentences stay, so read what changed (`git diff docs`):
a sentence may now say the opposite of its numbers. What is filled in is listed in benchmarks/numbers/printed.
"""

import sys

from benchmarks.numbers.pages import ROOT
from benchmarks.numbers.printed import SENTENCES, TABLES


def main() -> int:
    """Fill in, and print what changed; exit status 1 where a number could not be filled in."""
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
