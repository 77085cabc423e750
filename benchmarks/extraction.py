"""How much faster is the extraction than one clip after the other?

    python -m benchmarks.extraction --upstreams apc_960hr hubert_base --checkpoint FOLDER [--audio FOLDER] [--clips N]

"One by one" is what scripts around s3prl do: read a file, resample it, cut it, one forward pass per segment (s3prl's
expert called as it is, under no_grad), next file; in one process, with the better of one thread per core and one thread.
"Ours" is the pipeline with a replica of one thread per core, decoding included, parts and the finished store written to
disk. Both have the same cores, in turns; loading the weights counts for neither. Rows are compared first.

The paper's own way computes features anew in every episode: 10 clips in each of 10,000, that is 100,000 clips for a
dataset of 2,000. The last column is that at the measured rate of one by one, beside ours for the dataset's clips once.
"""

import argparse
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.measuring import in_turns, machine, markdown_table, ratio, timed, write_json
from extraction.datasets import load_dataset
from extraction.datasets.base import Dataset, Recording
from extraction.pipeline import extract
from extraction.pooling import pool
from extraction.replicas import Replicas
from extraction.settings import Settings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream, UpstreamOptions
from jfewshot.audio import MIN_DURATION_S, cut_segments, read_audio
from jfewshot.store import open_store

_EPISODES, _CLIPS_PER_EPISODE, _DATASET_CLIPS = 10_000, 10, 2_000
_HEADINGS = [
    "upstream",
    "one by one, clips/s (threads)",
    "ours, clips/s",
    "ratio (lowest-highest)",
    "encoders busy",
    "10,000 episodes: their way, ours",
]


def one_by_one(upstream: Upstream, recordings: list[Recording]) -> np.ndarray:
    """Pooled rows, one forward pass per segment."""
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


def s3prls_own(upstream: Upstream) -> Callable[[np.ndarray], np.ndarray]:
    """s3prl's expert as its documentation has it, and the mean over time."""
    import torch

    def encode(segment: np.ndarray) -> np.ndarray:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return upstream.expert([torch.from_numpy(segment)])["hidden_states"][-1].mean(dim=1)[0].numpy()

    return encode


def wrapped(upstream: Upstream) -> Callable[[np.ndarray], np.ndarray]:
    """Encoders that are not s3prl's."""
    return lambda segment: pool(upstream.encode(segment[None, :], ["last"])["last"], "mean")[0]


def better_threads(upstream: Upstream, recordings: list[Recording], cores: int) -> int:
    """Which of one thread and one per core serves one by one better."""
    import torch

    def rate(threads: int) -> float:
        torch.set_num_threads(threads)
        one_by_one(upstream, recordings[:1])
        return timed(lambda: one_by_one(upstream, recordings[:4]), 4)

    best = max((1, cores), key=rate)
    torch.set_num_threads(best)
    return best


def measure(name: str, arguments: argparse.Namespace, dataset: Dataset, root: Path, scratch: Path) -> dict:
    """Rates of both for one encoder, in turns."""
    cores = len(os.sched_getaffinity(0))
    options = UpstreamOptions(
        checkpoint=arguments.checkpoint, device="cpu", trust_checkpoint=arguments.trust_checkpoint
    )
    ours_options = UpstreamOptions(**(vars(options) | {"autocast": arguments.autocast, "threads": 1}))
    upstream = load_upstream(name, options)
    # Before the threads of one by one are set: loading for one thread each sets this process's too.
    planned = load_upstream(name, ours_options) if arguments.autocast != "none" else upstream
    recordings = dataset.recordings(root)
    threads = better_threads(upstream, recordings, cores)
    expected = one_by_one(upstream, recordings)
    settings = Settings(
        batch_size=arguments.batch_size, workers=0, block_clips=-(-len(recordings) // (cores * arguments.blocks))
    )
    shares: list[float] = []
    moved: list[float] = []
    with Replicas([name], ours_options, settings, cores) as crew:

        def ours() -> float:
            out = Path(tempfile.mkdtemp(dir=scratch))
            tally = []
            rate = timed(
                lambda: tally.append(extract(dataset, root, [planned], out, settings, crew=crew)), len(recordings)
            )
            shares.append(tally[0].encoders_share)
            rows = open_store(out / dataset.info.name / upstream.name).view("last.mean")
            moved.append(float(np.linalg.norm(rows - expected) / np.linalg.norm(expected)))
            assert moved[-1] < (1e-4 if arguments.autocast == "none" else 0.1), moved
            return rate

        theirs = lambda: timed(lambda: one_by_one(upstream, recordings), len(recordings))  # noqa: E731
        rates = in_turns({"ours": ours, "one_by_one": theirs}, arguments.rounds)
    return {
        "upstream": name,
        "rates": rates,
        "ratio": ratio(rates["ours"], rates["one_by_one"])[0],
        "one_by_one_threads": threads,
        "replicas": cores,
        "autocast": arguments.autocast,
        "encoder_share": shares[1:],
        "rows_moved": moved[-1],
        "clips": len(recordings),
        "segments": len(expected),
    }


def row(result: dict) -> list[str]:
    """Of the table that is printed."""
    middle, least, most = ratio(result["rates"]["ours"], result["rates"]["one_by_one"])
    fast, slow = np.median(result["rates"]["ours"]), np.median(result["rates"]["one_by_one"])
    hours = _EPISODES * _CLIPS_PER_EPISODE / slow / 3600
    return [
        result["upstream"],
        f"{slow:.1f} ({result['one_by_one_threads']})",
        f"{fast:.1f}",
        f"{middle:.2f} ({least:.2f}-{most:.2f})",
        f"{100 * np.median(result['encoder_share']):.0f}%",
        f"{hours:.1f} h, {_DATASET_CLIPS / fast / 60:.1f} min",
    ]


def write_noise(folder: Path, n_clips: int) -> None:
    """Clips of 5 s at 44.1 kHz, where no recordings are given: what they sound like changes no timing."""
    rng = np.random.default_rng(0)
    for clip in range(n_clips):
        path = folder / f"class{clip % 4}" / f"{clip}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.standard_normal(220_500) * 0.05, 44_100)


def first_clips(audio: Path, folder: Path, n_clips: int) -> None:
    """Links to clips of a folder of recordings, spread evenly over their names."""
    files = sorted(path for path in audio.rglob("*") if path.suffix in (".wav", ".ogg", ".flac", ".mp3"))
    (folder / "clips").mkdir(parents=True)
    for path in files[:: max(1, len(files) // n_clips)][:n_clips]:
        (folder / "clips" / path.name).symlink_to(path.resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstreams", nargs="+", default=["fbank"])
    parser.add_argument("--checkpoint", type=Path, help="the weights, or a folder of them, as for extraction.run")
    parser.add_argument("--trust-checkpoint", action="store_true")
    parser.add_argument("--audio", type=Path, help="a folder of recordings; noise where not given")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2, help="parts that each replica makes")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--autocast", default="none", help="of ours; one by one is in float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    about = machine()
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
    print(markdown_table(_HEADINGS, [row(result) for result in results]))
    write_json(arguments.json, {"results": results, "machine": about})


if __name__ == "__main__":
    main()
