"""How much faster is this project's extraction than encoding one clip after the other?

    python -m benchmarks.extraction --upstreams apc_960hr hubert_base --checkpoint FOLDER [--audio FOLDER] [--clips N]

"One by one" is what scripts around s3prl do. A single process reads a file, resamples it, cuts it into segments, runs one forward
pass per segment (s3prl's expert as it is, under no_grad), and continues with the next file. It uses one thread or one thread per
core, whichever is faster. "Ours" is the pipeline of this project with one replica of the model per core, each with one thread.
Its time includes decoding, and writing the parts and the finished store to disk. Both use the same cores, in turns. The time of
loading the weights counts for neither. The embeddings of both are compared as well.

The paper's own code computes features again in every episode, one clip at a time, and trains scikit-learn's classifier on them.
`--episodes N` measures N such episodes of 10 clips. The last column compares the time of 10,000 such episodes with our time for
extracting a dataset of 2,000 clips once.

The column "share of the matrix rate" reports how close one by one comes to the machine's limit: its rate of operations divided by
the machine's best rate of matrix products (float32, all cores, the faster of torch's two libraries).
"""

import argparse
import contextlib
import functools
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.tools.measuring import in_turns, machine, markdown_table, ratio, timed, write_json
from extraction.crews.replicas import Replicas
from extraction.datasets import load_dataset
from extraction.datasets.base import Dataset, Recording
from extraction.pipeline import extract
from extraction.pooling import pool
from extraction.progress import Tally
from extraction.settings import ExtractionSettings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream, UpstreamOptions
from jfewshot import threads as host_threads
from jfewshot.audio import MIN_DURATION_S, cut_segments, read_audio
from jfewshot.store import open_store

_EPISODES, _CLIPS_PER_EPISODE, _DATASET_CLIPS = 10_000, 10, 2_000
_HEADINGS = [
    "upstream",
    "one by one, clips/s (threads)",
    "ours, clips/s",
    "ratio (lowest-highest)",
    "rows moved",
    "encoders busy",
    "GFLOP a segment",
    "one by one, share of the matrix rate",
    "10,000 episodes: their way, ours",
]


def one_by_one(upstream: Upstream, recordings: list[Recording]) -> np.ndarray:
    """Pooled embeddings (segments x dim), with one forward pass per segment."""
    encode = s3prls_own(upstream) if hasattr(upstream, "expert") else wrapped(upstream)
    tail = round(MIN_DURATION_S * upstream.sample_rate)
    return np.stack(
        [
            encode(segment)
            for recording in recordings
            for segment in cut_segments(
                read_audio(recording.path, upstream.sample_rate), upstream.segment_samples, tail
            )
        ]
    )


def s3prls_own(upstream: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A function that encodes one segment by s3prl's expert, called as in its documentation, and takes the mean over time."""
    import torch

    def encode(segment: np.ndarray) -> np.ndarray:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return upstream.expert([torch.from_numpy(segment)])["hidden_states"][-1].mean(dim=1)[0].numpy()

    return encode


def wrapped(upstream: Upstream) -> Callable[[np.ndarray], np.ndarray]:
    """A function that encodes one segment by an encoder that is not s3prl's."""
    return lambda segment: pool(upstream.encode(segment[None, :], ["last"])["last"], "mean")[0]


def better_threads(upstream: Upstream, recordings: list[Recording], cores: int) -> int:
    """The number of threads with which one by one is faster: one, or one per core."""

    def rate(threads: int) -> float:
        torch_threads(threads)
        one_by_one(upstream, recordings[:1])
        return timed(lambda: one_by_one(upstream, recordings[:4]), 4)

    return max((1, cores), key=rate)


def torch_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def episodes_per_second(upstream: Upstream, recordings: list[Recording], n_episodes: int) -> float:
    """Rate of the paper's method, which decodes and encodes the clips of each episode one at a time, trains and predicts."""
    from sklearn.linear_model import SGDClassifier

    rng = np.random.default_rng(0)
    labels = np.arange(_CLIPS_PER_EPISODE // 2)

    def play() -> None:
        for _ in range(n_episodes):
            chosen = rng.integers(0, len(recordings), _CLIPS_PER_EPISODE)
            rows = np.stack([one_by_one(upstream, [recordings[clip]])[0] for clip in chosen])
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            SGDClassifier(
                loss="log_loss", alpha=0, learning_rate="adaptive", eta0=0.1, tol=1e-4, n_iter_no_change=2
            ).fit(rows[: len(labels)], labels).predict(rows[len(labels) :])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns that SGD did not converge
        return timed(play, n_episodes)


def gflop_per_segment(upstream: Upstream) -> float | None:
    """Count the matrix products of s3prl's own forward pass. Torch does not count those of its attention kernel for CPUs."""
    from torch.utils.flop_counter import FlopCounterMode

    if not hasattr(upstream, "expert"):
        return None
    samples = 80_000 if upstream.segment_samples is None else upstream.segment_samples
    segment = np.random.default_rng(0).standard_normal((samples,)).astype(np.float32) * 0.1
    with FlopCounterMode(display=False) as counter:
        s3prls_own(upstream)(segment)
    return counter.get_total_flops() / 1e9


def matrix_gflops(cores: int, seconds: float = 1.5) -> float:
    """The machine's best rate of matrix products in float32, with one thread per core, in GFLOP/s."""
    import torch

    torch.set_num_threads(cores)
    left, right, bias = torch.randn(4_000, 3_072), torch.randn(768, 3_072), torch.randn(768)
    packed = [tensor.to_mkldnn() for tensor in (left, right, bias)]

    def rate(product: Callable[[], object]) -> float:
        product()
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            product()
            count += 1
        return count * 2 * 4_000 * 3_072 * 768 / (time.perf_counter() - started) / 1e9

    with torch.inference_mode():
        return max(
            rate(lambda: torch.nn.functional.linear(left, right, bias)),
            rate(lambda: torch.ops.aten.mkldnn_linear(*packed)),
        )


def measure(name: str, arguments: argparse.Namespace, dataset: Dataset, root: Path, scratch: Path) -> dict:
    """Measure one encoder: rates of one by one, and of our pipeline in each precision, in turns."""
    cores = host_threads.cores()
    options = UpstreamOptions(
        checkpoint=arguments.checkpoint, device="cpu", trust_checkpoint=arguments.trust_checkpoint, faster=False
    )
    upstream = load_upstream(name, options)
    recordings = dataset.recordings(root)
    settings = ExtractionSettings(
        batch_size=arguments.batch_size, workers=0, block_clips=-(-len(recordings) // (cores * arguments.blocks))
    )
    rows: dict[str, np.ndarray] = {}
    shares: dict[str, list[float]] = {precision: [] for precision in arguments.autocast}

    def theirs() -> float:
        return timed(lambda: rows.update(one_by_one=one_by_one(upstream, recordings)), len(recordings))

    def ours(precision: str, planned: Upstream, crew: Replicas) -> float:
        out = Path(tempfile.mkdtemp(dir=scratch))
        tallies: list[Tally] = []
        rate = timed(
            lambda: tallies.append(extract(dataset, root, [planned], out, settings, crew=crew)), len(recordings)
        )
        shares[precision].append(tallies[0].encoders_share)
        rows[precision] = open_store(out / dataset.info.name / upstream.name).view("last.mean")
        return rate

    with contextlib.ExitStack() as stack:
        work: dict[str, Callable[[], float]] = {"one_by_one": theirs}
        for precision in arguments.autocast:
            changed = {"autocast": precision, "threads": 1, "faster": arguments.faster}
            own_options = UpstreamOptions(**(vars(options) | changed))
            crew = stack.enter_context(Replicas([name], own_options, settings, cores))
            work[precision] = functools.partial(ours, precision, load_upstream(name, own_options), crew)
        # This must follow the loading of our replicas, which sets the number of threads of this process to one as well.
        threads = arguments.threads or better_threads(upstream, recordings, cores)
        torch_threads(threads)
        rates = in_turns(work, arguments.rounds)
        played = episodes_per_second(upstream, recordings, arguments.episodes) if arguments.episodes else None
    scale = np.linalg.norm(rows["one_by_one"])
    moved = {precision: float(np.linalg.norm(rows[precision] - rows["one_by_one"]) / scale) for precision in shares}
    assert all(change < (1e-5 if precision == "none" else 0.1) for precision, change in moved.items()), moved
    gflop = gflop_per_segment(upstream)
    segments_per_s = np.median(rates["one_by_one"]) * len(rows["one_by_one"]) / len(recordings)
    return {
        "upstream": name,
        "rates": rates,
        "ratio": {precision: ratio(rates[precision], rates["one_by_one"])[0] for precision in shares},
        "rows_moved": moved,
        "encoder_share": {precision: share[1:] for precision, share in shares.items()},
        "one_by_one_threads": threads,
        "replicas": cores,
        "faster": arguments.faster,
        "episodes_per_s": played,
        "gflop_per_segment": gflop,
        "one_by_one_gflops": None if gflop is None else gflop * segments_per_s,
        "matrix_gflops": arguments.matrix_gflops,
        "clips": len(recordings),
        "segments": len(rows["one_by_one"]),
    }


def table_rows(result: dict) -> list[list[str]]:
    """Rows of the printed table, one for each precision."""
    slow = np.median(result["rates"]["one_by_one"])
    episodes = result["episodes_per_s"]
    hours = _EPISODES / episodes / 3600 if episodes else _EPISODES * _CLIPS_PER_EPISODE / slow / 3600
    gflop = result["gflop_per_segment"]
    rows = []
    for precision, shares in result["encoder_share"].items():
        rates = result["rates"][precision]
        middle, least, most = ratio(rates, result["rates"]["one_by_one"])
        rows.append(
            [
                result["upstream"] + ("" if precision == "none" else f", {precision}"),
                f"{slow:.1f} ({result['one_by_one_threads']})",
                f"{np.median(rates):.1f}",
                f"{middle:.2f} ({least:.2f}-{most:.2f})",
                f"{result['rows_moved'][precision]:.0e}",
                f"{100 * np.median(shares):.0f}%",
                f"{gflop:.1f}" if gflop else "",
                f"{100 * result['one_by_one_gflops'] / result['matrix_gflops']:.0f}%" if gflop else "",
                f"{hours:.1f} h, {_DATASET_CLIPS / np.median(rates) / 60:.1f} min",
            ]
        )
    return rows


def write_noise(folder: Path, n_clips: int) -> None:
    """Write clips of noise, 5 s at 44.1 kHz, for runs without recordings: the time does not depend on the content."""
    rng = np.random.default_rng(0)
    for clip in range(n_clips):
        path = folder / f"class{clip % 4}" / f"{clip}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.standard_normal(220_500) * 0.05, 44_100)


def first_clips(audio: Path, folder: Path, n_clips: int) -> None:
    """Link some clips of a folder of recordings, at even distances in the list of their names."""
    files = sorted(path for path in audio.rglob("*") if path.suffix in (".wav", ".ogg", ".flac", ".mp3"))
    (folder / "clips").mkdir(parents=True)
    for path in files[:: max(1, len(files) // n_clips)][:n_clips]:
        (folder / "clips" / path.name).symlink_to(path.resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstreams", nargs="+", default=["fbank"])
    parser.add_argument("--checkpoint", type=Path, help="file or folder of weights, as for `jfewshot extract`")
    parser.add_argument("--trust-checkpoint", action="store_true")
    parser.add_argument("--audio", type=Path, help="folder of recordings; without this option, generated noise")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2, help="number of parts that each replica extracts")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument(
        "--autocast", nargs="+", default=["none"], help="precisions of our pipeline; one by one always runs in float32"
    )
    parser.add_argument(
        "--threads",
        type=int,
        help="threads of one by one; without this option, the faster of 1 and the number of cores",
    )
    parser.add_argument(
        "--faster",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compute convolutions in our pipeline with fewer products than s3prl",
    )
    parser.add_argument(
        "--episodes", type=int, default=0, help="episodes to measure by the paper's method; needs scikit-learn"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    about = machine()
    arguments.matrix_gflops = matrix_gflops(about["cores"])
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        if arguments.audio is None:
            write_noise(scratch / "audio", arguments.clips)
        else:
            first_clips(arguments.audio, scratch / "audio", arguments.clips)
        results = [
            measure(name, arguments, load_dataset("folder:clips"), scratch / "audio", scratch)
            for name in arguments.upstreams
        ]
    print(markdown_table(_HEADINGS, [row for result in results for row in table_rows(result)]))
    write_json(arguments.json, {"results": results, "machine": about})


if __name__ == "__main__":
    main()
