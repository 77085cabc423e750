"""How much faster is the extraction than one clip after the other?

    python -m benchmarks.extraction [--upstream NAME] [--checkpoint FILE] [--audio FOLDER] [--clips N] [--batch-size B]

"One by one" is what scripts around s3prl do: read a file, resample it, cut it, one forward pass per segment, next file. "Ours"
is the pipeline: decoding in other processes, batches across clips, parts and the finished store written to disk; the start of
its processes counts. Both in one process with the same number of threads, in turns. Rows are compared first.

The paper's own way computes features anew in every episode: 10 clips in each of 10,000, that is 100,000 clips for a dataset
of 2,000. The last column says how long that takes at the rate of one by one, beside ours for the dataset's clips once.
"""

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.measuring import in_turns, machine, markdown_table, ratio, timed, write_json
from extraction.datasets import load_dataset
from extraction.datasets.base import Recording
from extraction.pipeline import extract
from extraction.pooling import pool
from extraction.settings import Settings
from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream, UpstreamOptions
from jfewshot.audio import MIN_DURATION_S, cut_segments, read_audio
from jfewshot.store import open_store

_EPISODES, _CLIPS_PER_EPISODE, _DATASET_CLIPS = 10_000, 10, 2_000


def one_by_one(upstream: Upstream, recordings: list[Recording]) -> np.ndarray:
    """Pooled rows, one forward pass per segment."""
    tail = round(MIN_DURATION_S * upstream.sample_rate)
    rows = [
        pool(upstream.encode(segment[None, :], ["last"])["last"], "mean")[0]
        for recording in recordings
        for segment in cut_segments(read_audio(recording.path, upstream.sample_rate), upstream.segment_samples, tail)
    ]
    return np.stack(rows)


def write_noise(folder: Path, n_clips: int) -> None:
    """Clips of 5 s at 44.1 kHz, where no recordings are given: what they sound like changes no timing."""
    rng = np.random.default_rng(0)
    for clip in range(n_clips):
        path = folder / f"class{clip % 4}" / f"{clip}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.standard_normal(220_500) * 0.05, 44_100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", default="fbank")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--trust-checkpoint", action="store_true")
    parser.add_argument("--audio", type=Path, help="a folder of class folders; noise where not given")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    options = UpstreamOptions(
        checkpoint=arguments.checkpoint, threads=arguments.threads, trust_checkpoint=arguments.trust_checkpoint
    )
    upstream = load_upstream(arguments.upstream, options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.audio is None:
            write_noise(folder / "clips", arguments.clips)
        root = arguments.audio or folder / "clips"
        dataset = load_dataset("folder:clips")
        recordings = dataset.recordings(root)
        settings = Settings(batch_size=arguments.batch_size, workers=arguments.workers)
        shares: list[float] = []

        def ours() -> float:
            out = Path(tempfile.mkdtemp(dir=folder))
            tally = None

            def work() -> None:
                nonlocal tally
                tally = extract(dataset, root, [upstream], out, settings)

            rate = timed(work, len(recordings))
            shares.append(tally.encoding_s / tally.wall_s)
            np.testing.assert_allclose(
                open_store(out / "clips" / upstream.name).view("last.mean"), expected, rtol=1e-3, atol=1e-4
            )
            return rate

        expected = one_by_one(upstream, recordings)
        rates = in_turns(
            {"ours": ours, "one": lambda: timed(lambda: one_by_one(upstream, recordings), len(recordings))},
            arguments.rounds,
        )
    middle, least, most = ratio(rates["ours"], rates["one"])
    fast, slow = np.median(rates["ours"]), np.median(rates["one"])
    hours = _EPISODES * _CLIPS_PER_EPISODE / slow / 3600
    headings = [
        "upstream",
        "one by one, clips/s",
        "ours, clips/s",
        "ratio",
        "encoder busy",
        "10,000 episodes: their way, ours",
    ]
    row = [
        upstream.name,
        f"{slow:.1f}",
        f"{fast:.1f}",
        f"{middle:.2f} ({least:.2f}-{most:.2f})",
        f"{100 * np.median(shares[1:]):.0f}%",
        f"{hours:.1f} h, {_DATASET_CLIPS / fast / 60:.1f} min",
    ]
    print(markdown_table(headings, [row]))
    write_json(
        arguments.json, {"rates": rates, "encoder_share": shares, "upstream": upstream.name, "machine": machine()}
    )


if __name__ == "__main__":
    main()
