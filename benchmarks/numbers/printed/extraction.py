"""Tables and sentences of docs/extraction.md and docs/upstreams.md: speeds of extraction."""

from statistics import median
from typing import Any

from benchmarks.numbers.comparing import Rows, Sentence, Table, Values
from benchmarks.numbers.printed.names import ends

PAGE = "docs/extraction.md"

_EXTRACTED = {
    "APC": "apc_960hr",
    "VQ-APC": "vq_apc_960hr",
    "NPC": "npc_960hr",
    "wav2vec": "wav2vec_large",
    "vq-wav2vec": "vq_wav2vec_gumbel",
    "DistilHuBERT": "distilhubert_base",
    "DeCoAR 2.0": "decoar2",
    "Mockingjay": "mockingjay_960hr",
    "TERA": "tera_960hr",
    "HuBERT Base": "hubert_base",
    "wav2vec 2.0 Base": "wav2vec2_base_960",
    "WavLM Base": "wavlm_base",
}


def extraction(found: Any, rows: Rows) -> Values:
    """Rates of extraction, compared with s3prl, the share of the rate of matrix products, and GFLOP/s of one thread."""
    by = {one["upstream"]: one for one in found["results"]}
    values = []
    for row in rows:
        one = by[_EXTRACTED[row[0]]]
        rates = {side: median(rate) for side, rate in one["rates"].items()}
        share = 100 * one["one_by_one_gflops"] / one["matrix_gflops"]
        half = [rates["bf16"], one["ratio"]["bf16"]] if "bf16" in rates else []
        ms = found["one_thread_ms_per_segment"]["ms"].get(one["upstream"])
        values.append(
            [
                *([one["gflop_per_segment"]], [rates["one_by_one"]], [share], [rates["none"]]),
                *([one["ratio"]["none"]], half, [1000 * one["gflop_per_segment"] / ms[0]] if ms else []),
            ]
        )
    return values


def earlier(found: Any) -> list[float]:
    """Ratios of earlier measurements."""
    same_day = {one["upstream"]: one["ratio"] for one in found["earlier_the_same_day"]}
    then = {one["upstream"]: one["ratio"] for one in found["of_2026_11_23"]["float32"]}
    wav2vec = same_day["wav2vec_large"]
    firsts = [same_day["apc_960hr"]["none"], same_day["npc_960hr"]["none"], wav2vec["none"], wav2vec["bf16"]]
    return [*firsts, then["hubert_base"], then["tera_960hr"]]


_RECURRENT = ("apc_960hr", "vq_apc_960hr")


def limits(found: Any) -> list[float]:
    """The machine's rate of matrix products, the share of it that one by one reaches, and the speed-up that is left."""
    rates = [one["matrix_gflops"] for one in found["results"]]
    shares = [
        one["one_by_one_gflops"] / one["matrix_gflops"] for one in found["results"] if one["upstream"] not in _RECURRENT
    ]
    return [*ends(rates), *(100 * share for share in ends(shares)), *ends(1 / share for share in shares)]


def fewer_products(found: Any) -> list[float]:
    """Milliseconds for a segment on one thread with fewer products and without, of wav2vec and of vq-wav2vec."""
    times = found["one_thread_ms_per_segment"]["ms"]
    return [ms for name in ("wav2vec_large", "vq_wav2vec_gumbel") for ms in reversed(times[name])]


def half_precision(found: Any) -> list[float]:
    """Smallest and largest change in percent, speed-ups of the encoders that gain most, and that of vq-wav2vec."""
    by = {one["upstream"]: one for one in found["results"] if "bf16" in one["ratio"]}
    gains = [by[name]["ratio"]["bf16"] for name in ("tera_960hr", "mockingjay_960hr", "distilhubert_base")]
    changes = [100 * one["rows_moved"]["bf16"] for one in by.values()]
    return [*ends(changes), *ends(gains), by["vq_wav2vec_gumbel"]["ratio"]["bf16"]]


def papers_procedure(found: Any) -> list[float]:
    """Seconds of an episode by the paper's method, hours of 10,000, and minutes of extracting 2,000 clips once."""
    names = ("apc_960hr", "npc_960hr", "wav2vec_large")
    episodes = {one["upstream"]: one["episodes_per_s"] for one in found["earlier_the_same_day"]}
    clips = {one["upstream"]: median(one["rates"]["none"]) for one in found["results"]}
    seconds = [1 / episodes[name] for name in names]
    return [*seconds, *(10_000 * each / 3600 for each in seconds), *(2_000 / clips[name] / 60 for name in names)]


TABLES = [
    Table(
        PAGE,
        "In float32 the embeddings of both are equal",
        "extraction_cpu",
        extraction,
        columns=tuple(range(1, 8)),
    ),
]
SENTENCES = [
    Sentence(
        PAGE,
        "APC {}, NPC {}, wav2vec {} (bf16 {}), HuBERT {}, TERA {}.",
        "extraction_cpu",
        earlier,
    ),
    Sentence(
        PAGE,
        "multiply matrices at {} to {} GFLOP/s, which varied from measurement to measurement (the faster of torch's two float32 "
        "products). One by one, the encoders other than APC and VQ-APC already run at {} to {}% of this rate: with one segment "
        "at a time their products are large enough. So batches and replicas alone can make these encoders at most {} to {} times",
        "extraction_cpu",
        limits,
    ),
    Sentence(
        PAGE,
        "Together with the replicas, this makes them {} and {} times as fast.",
        "extraction_cpu",
        lambda found: [one["ratio"]["none"] for one in found["results"] if one["upstream"] in _RECURRENT],
    ),
    Sentence(
        PAGE,
        "wav2vec's segment takes {} ms instead of {}, vq-wav2vec's {} instead of {}.",
        "extraction_cpu",
        fewer_products,
    ),
    Sentence(
        "docs/upstreams.md",
        "a segment of wav2vec takes {} ms instead of {}, and one of vq-wav2vec {} instead of {}",
        "extraction_cpu",
        fewer_products,
    ),
    Sentence(
        PAGE,
        "changed embeddings by {} to {}% of their norm here. It is worthwhile for TERA, Mockingjay and DistilHuBERT, which "
        "become {} to {} times as fast as one by one, and for wav2vec. It is hardly worthwhile for the others, and vq-wav2vec "
        "becomes slower ({} times",
        "extraction_cpu",
        half_precision,
    ),
    Sentence(
        PAGE,
        "took {} s with APC, {} s with NPC and {} s with wav2vec. From these times, 10,000 episodes would take {}, {} and {} "
        "hours. With jfewshot the 2,000 clips of ESC-50 are extracted once, which takes {}, {} and {} minutes",
        "extraction_cpu",
        papers_procedure,
    ),
    Sentence(
        PAGE,
        "one core of an AMD EPYC decodes and resamples {} s of speech from FLAC at 44.1 kHz, which are {} segments",
        "simclr_input_cpu",
        lambda found: [
            median(found["real_time_per_core"]["decode and resample from 44.1 kHz"]) / length for length in (1, 5)
        ],
    ),
]
