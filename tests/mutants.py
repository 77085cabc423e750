"""Which small changes of the code do the tests notice?

    python -m tests.mutants                       draw 200 changes, run the tests beside each, write tests/mutants.json
    python -m tests.mutants --again               run the survivors again, after a test was added
    python -m tests.mutants --number 20 --seed 3  other changes, for a look (with --out elsewhere.json)

A mutant is the package with one operator, comparison, number or truth value changed, in code of drawing, preprocessing,
statistics, results, schedules or scoring; messages, docstrings and annotations stay. It is killed where a test of the module's
own test files fails. Survivors get a test, or a reason in REASONS, by file, line of code and change.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_LIMIT_S = 120.0  # of one mutant's tests; a change that makes a loop endless is noticed too
# Simulations of minutes find no more than these.
_POOL = (
    "textbook_jackknife sum_over_pairs noise_of_the_episodes covariances_of_systems too_few_classes cannot_be_drawn closed_form "
    "half_widths own_slot another_table hardly_occur"
)
_POOL_TESTS = ["tests/statistics/test_pool.py", "-k", " or ".join(_POOL.split())]
_RECORDS = ["tests/results/test_lines.py", "tests/results/test_folder.py"]
TESTS = {
    "jfewshot/statistics/correlation.py": ["tests/statistics/test_correlation.py"],
    "jfewshot/statistics/paired.py": ["tests/statistics/test_paired.py"],
    "jfewshot/statistics/multiple.py": ["tests/statistics/test_paired.py"],
    "jfewshot/statistics/pool.py": _POOL_TESTS,
    "jfewshot/statistics/intervals.py": _POOL_TESTS,
    "jfewshot/statistics/ranks.py": ["tests/statistics/test_ranks.py"],
    "jfewshot/statistics/selection.py": ["tests/statistics/test_selection.py"],
    "jfewshot/episodes/drawing.py": ["tests/episodes/test_drawing.py"],
    "jfewshot/episodes/group_aware.py": ["tests/episodes/test_group_aware.py"],
    "jfewshot/episodes/pool.py": ["tests/episodes/test_protocol.py"],
    "jfewshot/episodes/protocol.py": ["tests/episodes/test_protocol.py"],
    "jfewshot/results/packing.py": ["tests/results/test_packing.py"],
    "jfewshot/results/keys.py": _RECORDS,
    "jfewshot/results/lines.py": _RECORDS,
    "jfewshot/results/indexing.py": _RECORDS,
    "jfewshot/evaluator/preprocessing.py": ["tests/evaluator/test_preprocessing.py"],
    "jfewshot/training/schedules.py": ["tests/training/test_shared.py"],
    "jfewshot/downstream/confusions.py": ["tests/downstream/test_confusions.py"],
    "jfewshot/downstream/asr/scores.py": ["tests/downstream/asr/test_scores.py"],
}
# Why a survivor is no hole: (file, the line's code, the change) -> what makes it equivalent.
_LIMIT = "a limit, or a number of draws: any number of this size does"
_SEED = "a default seed: any does"
REASONS: dict[tuple[str, str, str], str] = {
    ("jfewshot/results/indexing.py", "LONGEST_LINE = 2**25  # bytes", "25 -> 26"): _LIMIT,
    (
        "jfewshot/episodes/protocol.py",
        'if value is not None or name not in ("min_clips", "nested_shots"):',
        "or -> and",
    ): "`protocols` makes Python's numbers of NumPy's before, and the tests' type checks let no other way in",
    (
        "jfewshot/statistics/paired.py",
        "_EXACT_FLIPS = 14  # 2^14 sign patterns are enumerated; more units are sampled",
        "14 -> 15",
    ): _LIMIT,
    (
        "jfewshot/downstream/asr/scores.py",
        "@dataclasses.dataclass(frozen=True)",
        "True -> False",
    ): "nobody writes to it",
    (
        "jfewshot/statistics/pool.py",
        "if n_classes <= n_way or not known.any():",
        "<= -> <",
    ): "with as many classes as ways every episode holds every class, so that none is known",
    (
        "jfewshot/episodes/group_aware.py",
        "enough = (state.enough & ~spent) | leaves_enough(classes, attempt)",
        "~ -> ",
    ): "what was enough is asked again for the same supports, and is enough again",
    (
        "jfewshot/episodes/group_aware.py",
        "there = (low < count[:, None]) & (groups.number[entry] == number) & _is_new(number)",
        "< -> <=",
    ): "where low is count, the class's last clip has a smaller group number, so that == is false",
    (
        "jfewshot/statistics/pool.py",
        "y_squares = (score_sum * weight).sum(axis=1, keepdims=True)",
        "True -> False",
    ): "of one system: shapes (1,) and (1, 1) broadcast alike",
    (
        "jfewshot/statistics/pool.py",
        "flat = scores.reshape(n_systems, -1)",
        "1 -> 2",
    ): "NumPy takes any negative length for the one that it has to find",
    (
        "jfewshot/statistics/pool.py",
        "seen, slot_class = np.unique(drawn[:, :, 0], return_inverse=True)",
        "0 -> 1",
    ): "all drawn clips of a slot are of one class, which was checked before",
    (
        "jfewshot/results/lines.py",
        "bytes: _Count = 0",
        "0 -> 1",
    ): "of a record in a file of its own, where nobody reads it",
    ("jfewshot/results/lines.py", "clips: _Count = 0", "0 -> 1"): "every version has written this field",
    (
        "jfewshot/results/lines.py",
        "if not fields.keys() >= _NEEDED_OF_IDENTITY:",
        ">= -> >",
    ): "every version has written further fields than the needed ones",
    (
        "jfewshot/statistics/paired.py",
        'differences: Sequence[Float[np.ndarray, " _n_classes"]], seed: int = 0, n_draws: int = 9999',
        "0 -> 1",
    ): _SEED,
    (
        "jfewshot/results/indexing.py",
        "if path.stat().st_size <= start:",
        "<= -> <",
    ): "a file that has not grown is read from its end, and nothing is found",
    (
        "jfewshot/episodes/pool.py",
        "for name, start, count in zip(pool.names, pool.start, pool.count, strict=True):",
        "True -> False",
    ): "the three have one length by their making",
}
_BINARY: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Pow: ("**", "*"),
    ast.Mod: ("%", "//"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}
_COMPARISON: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
_UNARY: dict[type[ast.AST], str] = {ast.Not: "not ", ast.USub: "-", ast.Invert: "~"}
# A place in a source, what stands there, and what is put there.
Change = tuple[int, str, str]


class _Changes:
    """The changes of a source, one by one."""

    def __init__(self, source: str):
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._lines = source.splitlines()

    def __iter__(self) -> Iterator[Change]:
        return self._of(ast.parse(self._source))

    def _start(self, node: Any) -> int:
        return self._place(node.lineno, node.col_offset)

    def _end(self, node: Any) -> int:
        return self._place(node.end_lineno, node.end_col_offset)

    def _place(self, line: int, column: int) -> int:
        # Python counts a column in bytes.
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def _of(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.FunctionDef):
            for part in [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]:
                yield from self._of(part)
            return
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from self._of(node.value)
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        yield from self._at(node)
        for child in ast.iter_child_nodes(node):
            yield from self._of(child)

    def _at(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.BinOp):
            yield from self._between(node.left, node.right, _BINARY.get(type(node.op)))
        elif isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            for left, operator, right in zip(parts, node.ops, parts[1:], strict=False):
                yield from self._between(left, right, _COMPARISON.get(type(operator)))
        elif isinstance(node, ast.BoolOp):
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield from self._between(node.values[0], node.values[1], words)
        elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
            start, sign = self._start(node), _UNARY[type(node.op)]
            if self._source.startswith(sign, start):
                yield start, sign, ""
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            new = not node.value if type(node.value) is bool else node.value + 1
            yield self._start(node), self._source[self._start(node) : self._end(node)], repr(new)

    def _between(self, left: ast.expr, right: ast.expr, words: tuple[str, str] | None) -> Iterator[Change]:
        start, end = self._end(left), self._start(right)
        between = self._source[start:end]
        if words and between.count(words[0]) == 1 and "#" not in between:
            yield start + between.index(words[0]), *words


def draw(number: int, seed: int) -> list[dict[str, Any]]:
    """Draw changes from all those of `TESTS`' files."""
    found = []
    for name in TESTS:
        source = (ROOT / name).read_text("utf-8")
        lines = source.splitlines()
        for place, old, new in _Changes(source):
            line = source.count("\n", 0, place)
            found.append(
                {"file": name, "at": place, "line": line + 1, "code": lines[line].strip(), "change": [old, new]}
            )
    random.Random(seed).shuffle(found)
    return found[:number]


def _name(mutant: dict[str, Any]) -> tuple[str, str, str]:
    return mutant["file"], mutant["code"], " -> ".join(mutant["change"])


def run(mutants: list[dict[str, Any]], tree: Path) -> Iterator[dict[str, Any]]:
    """Apply each change to a copy of the package and run the tests beside it."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "JAX_PLATFORMS": "cpu"}
    for mutant in mutants:
        path = tree / mutant["file"]
        sound = path.read_text("utf-8")
        place, (old, new) = mutant["at"], mutant["change"]
        path.write_text(sound[:place] + new + sound[place + len(old) :], "utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            *TESTS[mutant["file"]],
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
        ]
        try:
            status = subprocess.run(
                command, cwd=tree, env=environment, capture_output=True, timeout=_LIMIT_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            status = 1
        finally:
            path.write_text(sound, "utf-8")
        if status not in (0, 1, 2):
            raise RuntimeError(f"pytest ended with status {status}: are the tests of {mutant['file']} named rightly?")
        reason = REASONS.get(_name(mutant))
        yield mutant | ({"ended": "killed"} if status else {"ended": "survived", "reason": reason})


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "mutants.json")
    parser.add_argument("--again", action="store_true", help="run the survivors of --out again")
    options = parser.parse_args()
    mutants, done = draw(options.number, options.seed), []
    if options.again:
        before = json.loads(options.out.read_text())["mutants"]
        done = [mutant for mutant in before if mutant["ended"] == "killed"]
        survivors = [_name(mutant) for mutant in before if mutant["ended"] != "killed"]
        # Lines may have moved since; of equal ones, the first.
        there = {_name(mutant): mutant for mutant in reversed(draw(10**9, options.seed))}
        mutants = [there[name] for name in survivors]
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        for name in ("jfewshot", "extraction", "benchmarks", "tests"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        for number, mutant in enumerate(run(mutants, tree), 1):
            done.append(mutant)
            change = " -> ".join(mutant["change"])
            _say(
                f"{number}/{len(mutants)} {mutant['ended']}: {mutant['file']}:{mutant['line']} {change} in {mutant['code'][:80]}"
            )
    killed = sum(mutant["ended"] == "killed" for mutant in done)
    _say(f"{killed} of {len(done)} killed; without a reason: {sum(m.get('reason', '') is None for m in done)}")
    options.out.write_text(json.dumps({"seed": options.seed, "killed": killed, "mutants": done}, indent=1) + "\n")


if __name__ == "__main__":
    main()
