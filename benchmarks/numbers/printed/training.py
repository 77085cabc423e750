"""Tables and sentences of pretraining.md, emotion.md and asr.md: studies of encoders, and speeds of training."""

import re
from collections.abc import Callable
from statistics import mean, median
from typing import Any

from benchmarks.numbers.comparing import Rows, Sentence, Table, Values, numbers_in

_TESTS = ("arabic_words", "arabic_speakers", "fsdd_digits", "fsdd_speakers")
_AUGMENTATIONS = {"reverberation": "reverb"}


def _percent(found: dict[str, Any]) -> list[float]:
    """Mean and intervals in percent. Some cells have no interval."""
    parts = (found["mean"], found["ci_episodes"], found["ci_seeds"])
    return [100 * part for part in parts if part is not None]


def _row(label: str) -> str:
    """The name in the file of a row of the page."""
    if "FBANK" in label:
        return "fbank"
    if "untrained" in label or "random" in label:
        return "random"
    name = label.strip("`")
    return name if "_" in name or name == "tera" else "no_" + _AUGMENTATIONS.get(name, name).replace(" ", "_")


def study(shots: int, less: str | None = None) -> Callable[[Any, Rows], Values]:
    """Accuracies of a study, or differences from the row `less`."""

    def values(found: Any, rows: Rows) -> Values:
        by = {(one["row"], one["dataset"]): one for one in found if one["shots"] == shots}
        lines = []
        for row in rows:
            cells = [by[_row(row[0]), test] for test in _TESTS]
            if less is None:
                lines.append([_percent(cell) for cell in cells])
            else:
                lines.append([_less(by, cell, less) for cell in cells])
        return lines

    return values


def _less(by: dict[tuple[str, str], Any], cell: dict[str, Any], name: str) -> list[float]:
    """A difference of two rows. The file holds it at one of the two rows; at the other row it has the opposite sign."""
    if name in cell["differences"]:
        return _percent(cell["differences"][name])
    middle, *intervals = _percent(by[name, cell["dataset"]]["differences"][cell["row"]])
    return [-middle, *intervals]


def sweep(found: Any, rows: Rows) -> Values:
    """Accuracies at one shot and at five by batch size and number of epochs."""
    by = {(one["row"], one["dataset"], one["shots"]): 100 * one["mean"] for one in found}
    values = []
    for row in rows:
        sizes = numbers_in(row[0])
        name = f"batch_{sizes[0]}_epochs_{sizes[1]}" if sizes else _row(row[0])
        tests = ("arabic_words", "fsdd_digits", "fsdd_speakers", "arabic_speakers")
        values.append([[by[name, test, shots] for shots in (1, 5)] for test in tests])
    return values


_KINDS = (("emodb_texts", "syllables", "synthetic_words"), ("notes",), ("emodb_speakers", "held_out_voices"))


def _training(record: dict[str, Any]) -> str:
    """How a page calls a training: by its recipe, with its steps if they are not the 300 of the comparison."""
    return record["recipe"] + (f", {record['steps']:,} steps" if record["steps"] > 300 else "")


def recipes(found: Any, rows: Rows) -> Values:
    """Scores of recipes, and accuracies of words, sounds and voices at one shot and at five for each readout."""
    by = {_training(one): one for one in found["recipes"]}
    values = []
    for row in rows:
        one = by[row[0].replace("`", "")]
        cells = [
            [mean(one["accuracy"][readout][task][shots] for task in tasks) for shots in "15" for tasks in _KINDS]
            for readout in ("A", "last", "B", "C")
        ]
        values.append([[one["score"]], *cells])
    return values


_SAMPLES = ("arabic_commands", "esc10", "fsdd_digits", "fsdd_speakers")
_DEVIATION = ", mean and deviation"


def _readout(label: str) -> str:
    """The name of a row in the file of the sample tasks: `FBANK, mean and deviation, whitened` is `fbank mean_std, whitened`."""
    words = label.replace("`speech_simclr_small`", "old").replace("`quiet`", "new").replace("`soft`", "new")
    for name in ("FBANK", "MFCC"):
        words = words.replace(name, name.lower())
    words = words.replace(_DEVIATION, " mean_std").replace(", mean", " mean")
    return re.sub(r"^(old|new|untrained), ", r"\1 ", words)


def sample_readouts(found: Any, rows: Rows) -> Values:
    """Accuracies of readouts on the sample tasks at one shot and at five, with intervals over seeds for several seeds."""
    by = {(one["row"], one["dataset"], one["shots"]): one for one in found["records"]}
    values = []
    for row in rows:
        cells = [[by[_readout(row[0]), task, shots] for shots in (1, 5)] for task in _SAMPLES]
        values.append(
            [[100 * one[key] for one in cell for key in ("mean", "ci_seeds") if one[key] is not None] for cell in cells]
        )
    return values


def sample_differences(found: Any, rows: Rows) -> Values:
    """Differences of two readouts, with intervals over episodes and over seeds."""
    by = {(one["row"], one["dataset"], one["shots"]): one for one in found["records"]}
    values = []
    for row in rows:
        ours, theirs = (_readout(part) for part in row[0].split(" less "))
        cells = [[by[ours, task, shots]["differences"][theirs] for shots in (1, 5)] for task in _SAMPLES]
        values.append([[number for one in cell for number in _percent(one)] for cell in cells])
    return values


def sample_means(found: Any, rows: Rows) -> Values:
    """Mean accuracy of recipes on the sample tasks by the readouts B and C, at one shot and at five."""
    by = {(one["row"], one["dataset"], one["shots"]): one["mean"] for one in found["records"]}
    names = {"untrained": "untrained", "quiet": "new", "speech_simclr_small": "old", "soft, 3,000 steps": "new"}
    values = []
    for row in rows:
        name = row[0].replace("`", "")
        recipe, _, steps = name.removesuffix(" steps").replace(",", "").partition(" ")
        name = names.get(name, f"{recipe}-0-{steps or 300}")
        means = [
            100 * mean(by[f"{name} {readout}", task, shots] for readout in "BC" for shots in (1, 5))
            for task in _SAMPLES
        ]
        values.append([*([one] for one in means), [mean(means)]])
    return values


def recipe_scores(found: Any, rows: Rows) -> Values:
    """Scores of recipes."""
    by = {_training(one): one for one in found["recipes"]}
    return [[[by[row[0].replace("`", "")]["score"]]] for row in rows]


def default_views(found: Any, rows: Rows) -> Values:
    """Scores of the views that an encoder can have by default: of the new encoder, then of the old one."""
    by = {(one["encoder"], one["view"]): one["score"] for one in found["views"]}
    return [[[by[name, row[0].strip("`")]] for name in ("soft-0-3000", "speech_simclr_small")] for row in rows]


_SIGNAL = {
    "FBANK": ("fbank", "fbank"),
    "speed": ("speed", "speed"),
    "pitch": ("pitch", "pitch"),
    "reverberation, bank": ("reverb (bank)", "reverb"),
    "reverberation, continuous": ("reverb (continuous)", "none"),
    "noise": ("noise", "noise"),
    "a whole view": ("a whole view", "none"),
}


def signal(found: Any, rows: Rows) -> Values:
    """Speeds as multiples of real time. Other libraries are found by their names; numbers in brackets are not speeds."""
    rates = {one["what"]: one["times_real_time"] for one in found["rows"]}
    values = []
    for row in rows:
        ours, kind = next(names for title, names in _SIGNAL.items() if row[0].startswith(title))
        others = []
        for part in filter(None, re.split(r", (?![^(]*\))", row[2])):
            program = part.split()[0]
            name = next(what for what in rates if what.startswith(kind) and f": {program}" in what)
            in_brackets = [float(found) for found in numbers_in(" ".join(re.findall(r"\(.*?\)", part)))]
            others += [*in_brackets, rates[name]] if part[-1].isdigit() else [rates[name], *in_brackets]
        values.append([[rates[ours]], others])
    return values


def step(found: Any, rows: Rows) -> Values:
    """Seconds of a training step of ours, PyTorch and s3prl, and the ratios of times with their range over the rounds."""
    values = []
    for row in rows:
        side = next(name for name in ("s3prl", "torch", "ours") if name in row[0].lower().replace("pytorch", "torch"))
        seconds = [1 / median(found["steps_per_s"][side])]
        ratio = found["ratio"].get(side, [])
        values.append([seconds, ratio[:1], ratio[1:]])
    return values


def recognition(name: str, less: bool = False) -> Callable[[Any, Rows], Values]:
    """The numbers of a table of docs/asr.md. With `less`, the differences of the file are printed too."""

    def values(found: Any, rows: Rows) -> Values:
        tables = found["studies"][name]["tables"]
        scores, differences = (
            {
                one[0].removesuffix(", frozen"): one
                for title, table in tables.items()
                if title.startswith(start)
                for one in table
            }
            for start in ("Speech recognition", "WER less")
        )
        lines = []
        for row in rows:
            label = "speech_simclr" if "all six" in row[0] else _row(row[0]).replace("fbank", "FBANK")
            # The last columns of the file are range, spread over the seeds, and number of seeds.
            cells = [scores[label][place] for place in (*range(1, len(scores[label]) - 3), -2)]
            if less:
                of = differences.get(label)
                cells += [f"{of[1]} {of[2]}", of[4]] if of else ["", ""]
            lines.append([[float(part.replace("−", "-")) for part in numbers_in(cell)] for cell in cells])
        return lines

    return values


def beside_torch(found: Any, rows: Rows, key: str, per: str, names: dict[str, str], seconds: bool) -> Values:
    """Rates or times of both sides, and their ratio."""
    values = []
    for row in rows:
        one = found[key][names.get(row[0], row[0])]
        rates = [median(one[per][side]) for side in ("jax", "torch")]
        both = [[1 / rate] if seconds else [rate] for rate in rates]
        ratio = one["ratio"]
        values.append([*both, ratio] if seconds else [*both, ratio[:1], ratio[1:]])
    return values


def emotion(found: Any, rows: Rows) -> Values:
    """Seconds of the paper's emotion head, compared with PyTorch."""
    return beside_torch(found, rows, "measured", "batches_per_s", {}, seconds=True)


def asr(found: Any, rows: Rows) -> Values:
    """Rates of the paper's recogniser, compared with PyTorch."""
    names = {"joint beam search": "beam search"}
    return beside_torch(found, rows, "results", "utterances_per_s", names, seconds=False)


PRETRAINING, ASR = "docs/pretraining.md", "docs/asr.md"
TABLES = [
    *(
        Table(PRETRAINING, f"| {shots}-shot, {words} |", "simclr_profiles", study(shots, less))
        for shots in (1, 5)
        for words, less in (("accuracy", None), ("minus untrained", "random"), ("minus FBANK", "fbank"))
    ),
    *(
        Table(
            PRETRAINING, f"| {shots}-shot, without it less all six |", "simclr_ablation", study(shots, "speech_simclr")
        )
        for shots in (1, 5)
    ),
    Table(PRETRAINING, "### Batch size x epochs", "simclr_sweep", sweep),
    Table(PRETRAINING, "| recipe | what it is | score |", "simclr_recipes", recipes, labels=2),
    Table(PRETRAINING, "| readout, seen before |", "simclr_samples", sample_readouts),
    Table(PRETRAINING, "| difference |", "simclr_samples", sample_differences),
    Table(PRETRAINING, "| trained for |", "simclr_recipes", recipe_scores, columns=(1,)),
    Table(PRETRAINING, "| trained for |", "simclr_longer", sample_means, columns=(2, 3, 4, 5, 6)),
    Table(PRETRAINING, "| default view |", "simclr_views", default_views),
    Table(PRETRAINING, "| readout, one seed |", "simclr_longer", sample_readouts),
    Table(PRETRAINING, "| difference, one seed |", "simclr_longer", sample_differences),
    Table(PRETRAINING, "| trained by | development score |", "simclr_recipes", recipe_scores, columns=(1,)),
    Table(
        PRETRAINING,
        "| trained by | development score |",
        "simclr_samples",
        sample_means,
        columns=(2, 3, 4, 5, 6),
    ),
    Table(PRETRAINING, "`benchmarks/measured/simclr_signal_cpu.json`):", "simclr_signal_cpu", signal),
    Table(PRETRAINING, "`benchmarks/measured/simclr_step_cpu.json`:", "simclr_step_cpu", step),
    Table("docs/emotion.md", "`benchmarks/measured/emotion_cpu.json`", "emotion_cpu", emotion),
    Table(ASR, "`benchmarks/measured/asr_cpu.json`", "asr_cpu", asr),
    Table(ASR, "Recurrent CTC (one bidirectional", "asr_study", recognition("frozen"), columns=(1, 2, 3)),
    Table(ASR, "Fine-tuned instead", "asr_study", recognition("digits", less=True)),
    Table(ASR, "Telephone prompts in characters", "asr_study", recognition("prompts", less=True)),
    Table(ASR, "The six-way ablation", "asr_study", recognition("frozen"), columns=(1, 2, 3)),
]


def loss(found: Any) -> list[float]:
    """Times and memory of the NT-Xent loss: dense, in tiles, and over devices."""
    rows = found["rows"]
    by_devices = [rows[f"{n} devices"] for n in (1, 2, 4, 8)]
    first = [1e3 * rows["dense"]["s"], rows["dense"]["mib"], 1e3 * rows["tiled"]["s"], rows["tiled"]["mib"]]
    return [
        found["settings"]["utterances"],
        *first,
        *(row["mib"] for row in by_devices),
        *(1e3 * row["s"] for row in by_devices),
    ]


SENTENCES = [
    Sentence(
        "docs/pretraining.md",
        "one core of an AMD EPYC decodes {} s of FLAC at 16 kHz, makes batches of {} s of crops, or decodes and resamples {} s",
        "simclr_input_cpu",
        lambda found: [
            median(found["real_time_per_core"][what])
            for what in ("decode", "a batch of crops of 12 s", "decode and resample from 44.1 kHz")
        ],
    ),
    Sentence(
        PRETRAINING,
        "NT-Xent of {} utterances, value and gradient: {} ms and {} MiB of temporary memory dense, {} ms and {} MiB in tiles of "
        "256 rows; over 1, 2, 4 and 8 virtual devices {}, {}, {} and {} MiB each, in {}, {}, {} and {} ms",
        "simclr_loss_cpu",
        loss,
    ),
    Sentence(
        PRETRAINING,
        "needs {} MiB of temporary memory in one chunk, {} in two, {} in four, {} in eight",
        "simclr_step_cpu",
        lambda found: [found["memory_mib"][chunks] for chunks in ("1", "2", "4", "8")],
    ),
]
