"""The parts of the GPU benchmark, the most important part first. Each part runs in its own process (one_part.py)."""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu.evaluating import Question, measure
from benchmarks.gpu.stores import Embeddings, synthetic

# A row's labels, and the function that measures the row.
Job = tuple[dict[str, Any], Callable[[], dict[str, Any]]]
_DTYPES: tuple[Any, ...] = ("bfloat16", "float32")
CLASSIFIERS = ("logistic", "sgd", "ridge", "svm", "centroid", "knn")


@dataclasses.dataclass(frozen=True)
class Setting:
    """The settings of all parts.

    Attributes:
      scratch: folder for synthetic embeddings, which the parts share.
      reference: file of predictions that a CPU made; None to skip the check.
      tiny: whether to use small sizes, so that a test on a CPU can run every line of every part.
      block: the fastest block size so far; None before it is known.
    """

    scratch: Path
    reference: Path | None = None
    tiny: bool = False
    block: int | None = None

    def small(self) -> Embeddings:
        """The small store: 400 embeddings of 768 numbers."""
        return synthetic(400, 32 if self.tiny else 768, self.scratch)

    def episodes(self, full: int) -> int:
        """The given number of episodes, or a few episodes if `tiny`."""
        return 64 if self.tiny else full

    def blocks(self, *full: int | None) -> tuple[int | None, ...]:
        """The given block sizes without repetition, or a single small size if `tiny`."""
        return (32,) if self.tiny else tuple(dict.fromkeys(full))


def check(setting: Setting) -> Iterator[Job]:
    """Compare predictions and draws with a CPU's."""
    if setting.reference is None:
        return
    import numpy as np

    from benchmarks.gpu.reference import TINY, compare, problems
    from jfewshot.evaluator.evaluator import Evaluator

    reference = dict(np.load(setting.reference))
    evaluator = Evaluator()
    choice = TINY if setting.tiny else {}
    # Logistic regression comes first, because it has its own solver on a GPU.
    for problem in sorted(problems(**choice), key=lambda problem: problem.classifier != "logistic"):
        if f"{problem.name}|predicted" not in reference:
            # A reference that lacks some problems can still check the others. The table reports how many problems were compared.
            print(f"the reference has no predictions for {problem.name}, so they are not compared", file=sys.stderr)
            continue
        protocol = problem.protocol
        labels = {"classifier": problem.classifier, "episode": f"{protocol.n_way}-way {protocol.k_shot}-shot"}
        yield labels | {"store": problem.store.name}, functools.partial(compare, problem, reference, evaluator)


def small(setting: Setting) -> Iterator[Job]:
    """A small store with calls of 10,000, 100,000 and a million episodes, and with 5 shots."""
    for k_shot, n in ((1, 1_000_000), (5, 1_000_000), (1, 100_000), (1, 10_000)):
        if setting.tiny and n < 1_000_000:
            continue
        question = Question(setting.small(), k_shot=k_shot, n_episodes=setting.episodes(n))
        yield _job(question, 32 if setting.tiny else None)


def blocks(setting: Setting) -> Iterator[Job]:
    """Several numbers of episodes per block, which must not change the predictions."""
    expected: list[Any] = []
    for question in (Question(setting.small(), n_episodes=setting.episodes(2**20)),):
        for block in setting.blocks(65_536, 16_384, 131_072, 262_144):

            def run(block=block, question=question) -> dict[str, Any]:
                from benchmarks.gpu.evaluating import predictions

                if not expected:
                    expected.append(predictions(question))
                return measure(question, block, expected=expected[0])

            yield question.labels | {"asked_block": block}, run


def kernels(setting: Setting) -> Iterator[Job]:
    """The kernels alone, and copies of predictions to the host."""
    from benchmarks.gpu.kernels import copied, looked_up, multiplied

    sizes = ((5, 1, 524_288), (5, 5, 262_144), (10, 5, 65_536), (20, 1, 65_536), (5, 20, 32_768), (20, 5, 16_384))
    for segments in (400, 4000):
        for n_way, k_shot, n in sizes[:1] if setting.tiny else sizes:
            if segments == 400 and (n_way > 5 or k_shot > 5):
                continue
            store = setting.small() if setting.tiny else synthetic(segments, 768, setting.scratch)
            question = Question(store, n_way=n_way, k_shot=k_shot, n_episodes=setting.episodes(n))
            yield question.labels, functools.partial(looked_up, question)
    large = synthetic(*((3000, 32) if setting.tiny else (300_000, 768)), setting.scratch)
    for k_shot in (1,) if setting.tiny else (1, 5):
        question = Question(large, k_shot=k_shot, n_episodes=setting.episodes(50_000))
        yield question.labels | {"classifier": "inner products"}, functools.partial(multiplied, question)
    n = setting.episodes(1_000_000)
    yield {"store": "copying predictions", "episodes": n}, functools.partial(copied, n)


def ceilings(setting: Setting) -> Iterator[Job]:
    """The highest rates of the device: bytes copied, inner products, arithmetic."""

    def run() -> dict[str, Any]:
        from benchmarks.suite.limits import measure_limits

        return {"limits": measure_limits()._asdict()}

    if not setting.tiny:
        yield {"store": "none"}, run


def ten_million(setting: Setting) -> Iterator[Job]:
    """Ten million episodes in one call."""
    question = Question(setting.small(), n_episodes=setting.episodes(10_000_000))
    yield _job(question, 32 if setting.tiny else setting.block, rounds=2)


def grid(setting: Setting) -> Iterator[Job]:
    """Every classifier at 5-way 1-shot, 5-way 5-shot and 20-way 5-shot, logistic regression first."""
    store = setting.small() if setting.tiny else synthetic(4000, 768, setting.scratch)
    for classifier in CLASSIFIERS:
        for n_way, k_shot, n in ((5, 1, 400_000), (5, 5, 400_000), (20, 5, 40_000)):
            if setting.tiny and (n_way > 5 or classifier not in ("logistic", "knn")):
                continue
            if classifier == "sgd" and k_shot > 1:
                n = n // 10
            question = Question(store, classifier, n_way, k_shot, 15, setting.episodes(n))
            yield _job(question, 32 if setting.tiny else None)


def large(setting: Setting) -> Iterator[Job]:
    """Stores of real size, whose inner products are computed for each episode."""
    for segments, dim, dtype, k_shot in (
        (300_000, 768, "float32", 1),
        (300_000, 768, "float32", 5),
        (300_000, 768, "float16", 1),
        (1_000_000, 1024, "float16", 1),
    ):
        size = (3000, 32) if setting.tiny else (segments, dim)
        question = Question(
            synthetic(*size, setting.scratch, dtype), k_shot=k_shot, n_episodes=setting.episodes(100_000)
        )
        yield _job(question, None)


def many_shots(setting: Setting) -> Iterator[Job]:
    """Episodes with many supports."""
    store = setting.small() if setting.tiny else synthetic(2000, 768, setting.scratch)
    for k_shot, n, classifier in (
        (32, 4096, "logistic"),
        (100, 1024, "logistic"),
        (32, 4096, "ridge"),
        (32, 4096, "svm"),
    ):
        shots = 3 if setting.tiny else k_shot
        yield _job(Question(store, classifier, 5, shots, 15, setting.episodes(n)), None)


def chosen(setting: Setting) -> Iterator[Job]:
    """Strengths that each episode chooses."""
    store = setting.small() if setting.tiny else synthetic(4000, 768, setting.scratch)
    for k_shot, n in ((1, 100_000), (5, 20_000), (20, 4096)):
        if setting.tiny and k_shot > 1:
            continue
        for classifier in ("logistic:C=auto", "ridge:alpha=auto"):
            yield _job(Question(store, classifier, 5, k_shot, 15, setting.episodes(n)), 32 if setting.tiny else None)


def command(setting: Setting) -> Iterator[Job]:
    """`jfewshot run` on the sample stores, on this device and on the host's processor."""
    from benchmarks.gpu.whole_command import run_and_compare

    n = setting.episodes(10_000)
    datasets = ("fsdd_digits",) if setting.tiny else ()
    labels = {"store": "the whole command", "classifier": "logistic", "episode": "5-way 1-shot", "episodes": n}
    yield labels, functools.partial(run_and_compare, setting.scratch, n, datasets)


def paper(setting: Setting) -> Iterator[Job]:
    """The paper's protocol: `sgd`, with one query of each class."""
    store = setting.small()
    for n in (10_000, 1_000_000):
        yield _job(Question(store, "sgd", n_query=1, n_episodes=setting.episodes(n)), 32 if setting.tiny else None)


def torch_small(setting: Setting) -> Iterator[Job]:
    """PyTorch on the small store, without and with compilation."""
    questions = [
        Question(setting.small(), k_shot=k_shot, n_way=n_way, n_episodes=setting.episodes(n))
        for n_way, k_shot, n in ((5, 1, 524_288), (5, 5, 131_072), (20, 5, 8192))
        if not setting.tiny or k_shot == 1
    ]
    if not setting.tiny:
        questions[2] = questions[2]._replace(store=synthetic(4000, 768, setting.scratch))
    yield from _torch(setting, questions, (4096, 32_768, 131_072))


def torch_large(setting: Setting) -> Iterator[Job]:
    """PyTorch on 300,000 x 768 float32, which stays on the device."""
    size = (3000, 32) if setting.tiny else (300_000, 768)
    store = synthetic(*size, setting.scratch)
    questions = [Question(store, k_shot=k_shot, n_episodes=setting.episodes(65_536)) for k_shot in (1, 5)]
    yield from _torch(setting, questions, (4096, 16_384), how=(False,))


def torch_many(setting: Setting) -> Iterator[Job]:
    """PyTorch with many supports."""
    store = setting.small() if setting.tiny else synthetic(2000, 768, setting.scratch)
    question = Question(store, k_shot=3 if setting.tiny else 32, n_episodes=setting.episodes(4096))
    yield from _torch(setting, [question], (512, 4096), how=(False,))


def _torch(
    setting: Setting, questions: list[Question], chunks: tuple[int, ...], how: tuple[bool, ...] = (False, True)
) -> Iterator[Job]:
    from benchmarks.gpu import pytorch

    kept: dict[int, Any] = {}
    device = "cpu" if setting.tiny else "cuda"
    # Compiling takes long. So every solver first runs without compilation, and is then compiled only for the largest chunk, which
    # was the fastest chunk in two earlier runs.
    for compiled in (False,) if setting.tiny else how:
        for number, question in enumerate(questions):
            for solver in pytorch.SOLVERS:
                if compiled and solver == "features":
                    continue

                def run(number=number, question=question, solver=solver, compiled=compiled) -> dict[str, Any]:
                    if number not in kept:
                        kept[number] = pytorch.Episodes(question, device)
                    return pytorch.measure(kept[number], solver, compiled, chunks[-1:] if compiled else chunks)

                name = f"torch {solver}{', compiled' if compiled else ''}"
                yield question.labels | {"side": name}, run


def pretraining(setting: Setting) -> Iterator[Job]:
    """Our pretraining steps."""
    from benchmarks.gpu.pretraining import simclr, tera

    encoder = _encoder(setting)
    # Compiling the whole step takes longest, so it is measured after TERA's steps of the same size.
    for batch, frames in _sizes(setting):
        crop_s = frames / 100
        for dtype in _DTYPES:
            labels = {"store": f"TERA step, {batch} x {frames} frames, {dtype}"}
            yield labels, functools.partial(tera, "jfewshot", batch, frames, dtype, encoder, "")
        for dtype in _DTYPES:
            labels = {"store": f"Speech SimCLR step, {batch} x {crop_s:g} s, {dtype}"}
            yield labels, functools.partial(simclr, batch, crop_s, dtype, encoder)


def torch_pretraining(setting: Setting) -> Iterator[Job]:
    """PyTorch's step with the same sizes."""
    from benchmarks.gpu.pretraining import tera

    device, encoder = "cpu" if setting.tiny else "cuda", _encoder(setting)
    for (batch, frames), dtype in itertools.product(_sizes(setting), _DTYPES):
        labels = {"side": "torch", "store": f"TERA step, {batch} x {frames} frames, {dtype}"}
        yield labels, functools.partial(tera, "torch", batch, frames, dtype, encoder, device)


def _encoder(setting: Setting):
    from jfewshot.simclr.encoder import EncoderConfig

    return EncoderConfig(n_layers=1, d_model=16, d_ff=32, n_heads=2) if setting.tiny else EncoderConfig()


def _sizes(setting: Setting) -> tuple[tuple[int, int], ...]:
    """Pairs of sizes: number of waves in a batch, and number of frames (10 ms) of each wave."""
    return ((2, 50),) if setting.tiny else ((32, 1200), (128, 1200))


def _job(question: Question, block: int | None, rounds: int = 3) -> Job:
    return question.labels | {"asked_block": block}, lambda: measure(question, block, rounds)


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
      jobs: makes the rows of the part.
      limit_s: seconds after which the process of the part is stopped.
      without_gpu: whether JAX must not use the GPU, because PyTorch uses it.
    """

    jobs: Callable[[Setting], Iterator[Job]]
    limit_s: float
    without_gpu: bool = False


PARTS = {
    "small": Part(small, 25),
    "torch small": Part(torch_small, 75, without_gpu=True),
    "check": Part(check, 70),
    "pretraining": Part(pretraining, 75),
    "torch pretraining": Part(torch_pretraining, 25, without_gpu=True),
    "large": Part(large, 50),
    "torch large": Part(torch_large, 25, without_gpu=True),
    "grid": Part(grid, 50),
    "ten million": Part(ten_million, 20),
    "many shots": Part(many_shots, 40),
    "torch many": Part(torch_many, 20, without_gpu=True),
    "command": Part(command, 40),
    "chosen": Part(chosen, 40),
    "kernels": Part(kernels, 40),
    "blocks": Part(blocks, 20),
    "paper": Part(paper, 25),
    "ceilings": Part(ceilings, 25),
}
