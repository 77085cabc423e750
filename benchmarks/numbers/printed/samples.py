"""Tables and sentences about the sample stores: noise, chosen labels, fused encoders, planted faults, curves over shots."""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.numbers.comparing import Rows, Sentence, Table, Values
from benchmarks.numbers.printed.names import dataset, ends, upstream


def noise(found: Any, rows: Rows) -> Values:
    """Accuracies by signal-to-noise ratio."""
    cells = {cell["upstream"]: cell for cell in found["cells"] if cell["shots"] == 5}
    values = []
    for row in rows:
        cell = cells[upstream(row[0])]
        line = [
            [100 * cell[ratio][field] for field in ("mean", "pool_ci95")]
            for ratio in ("clean", "20 dB", "10 dB", "0 dB")
        ]
        values.append([*line, [100 * (cell["0 dB"]["mean"] - cell["clean"]["mean"])]])
    return values


def chosen_labels(found: Any, rows: Rows) -> Values:
    """Gain of each method of choosing clips, and in how many stores it gains."""
    values = []
    for row in rows:
        if "mean gain" in row[0]:
            counts = found["counts"][row[0].split(":")[0].replace("-", "")]
            values.append([[100 * count["mean_gain"]] for count in counts])
        else:
            values.append([[count["gains"], count["loses"]] for count in counts])
    return values


def labels_by_dataset(found: Any, rows: Rows) -> Values:
    """Accuracies with the best encoder of each dataset."""
    values, cell = [], found["stores"][0]
    for row in rows:
        if row[0]:
            cell = next(
                one
                for one in found["stores"]
                if (one["dataset"], one["upstream"]) == (dataset(row[0]), upstream(row[0]))
            )
        method = {"at random": "random", "k-medoids": "kmedoids"}.get(row[1], row[1])
        values.append([[100 * accuracy] for accuracy in cell["methods"][method]["accuracy"]])
    return values


_TITLES = {
    "Arabic words": "Arabic Speech Commands (20 words)",
    "FSDD digits": "FSDD, digits",
    "FSDD speakers": "FSDD, speakers",
}


def fusion(found: Any, rows: Rows) -> Values:
    """Accuracies of pairs of encoders."""
    values, title = [], ""
    for row in rows:
        title = _TITLES.get(row[0], row[0]) or title
        pairs = found["shots"][row[1]][title]
        best = max(pairs, key=lambda pair: pair["accuracy"])
        assert set(row[4].split(" + ")) == set(best["parts"]), (row, best)
        sure = [pair for pair in pairs if pair["p_holm"] < 0.05]
        values.append(
            [
                [sum(pair["gain"] > 0 for pair in sure)],
                [sum(pair["gain"] < 0 for pair in sure)],
                [],
                [100 * best["accuracy"]],
                [100 * max(pair["better"] for pair in pairs)],
            ]
        )
    return values


def chosen_fusion(found: Any, rows: Rows) -> Values:
    """Accuracies of pairs with equal and with chosen weights."""
    values = []
    for row in rows:
        line = []
        for kind in ("shots", "chosen"):
            pairs = found[kind]["5"][_TITLES.get(row[0], row[0])]
            sure = [pair["gain"] for pair in pairs if pair["p_holm"] < 0.05]
            gains = [100 * pair["gain"] for pair in pairs]
            line += [[sum(gain > 0 for gain in sure), sum(gain < 0 for gain in sure)]]
            line += [[sum(gains) / len(gains)], [min(gains)]]
        values.append(line)
    return values


def curve_laws(found: Any, rows: Rows) -> Values:
    """How well five points of a curve predict the next two."""
    titles = {"`ridge:alpha=auto`": "ridge, alpha = auto", "`logistic`, C = 1": "logistic, C = 1", "all three": "all"}
    values = []
    for row in rows:
        law = found["held_out"][titles.get(row[0], "centroid, metric = euclidean")]
        cells = 96 if row[0] == "all three" else 32
        assert law["declined"] == 0
        values.append(
            [[100 * law["inside"]], [100 * law["both_inside"]], [law["median_width"]], [law["rms_error"]], [cells]]
        )
    return values


def planted_copies(found: Any, rows: Rows) -> Values:
    """Precision and recall for copies of each kind."""
    kinds = {"begin": "later", "silence": "silence", "noise": "noise"}
    values, kind = [], ""
    for row in rows:
        kind = next((kinds[word] for word in kinds if word in row[0]), kind)
        by = {one["dataset"]: one for one in found["copies"] if (one["kind"], one["encoders"]) == (kind, "all")}
        values.append([[by[on][row[1]]] for on in ("esc10", "fsdd_digits", "arabic_commands")])
    return values


def planted_labels(found: Any, rows: Rows) -> Values:
    """Precision and recall for exchanged labels."""
    return [
        [
            [one[row[0]]]
            for on in ("esc10", "fsdd_digits", "fsdd_speakers", "arabic_commands")
            for one in found["labels"]
            if (one["dataset"], one["encoders"]) == (on, "all")
        ]
        for row in rows
    ]


def accuracies(titles: Sequence[str], *conditions: str) -> Callable[[Any, Rows], Values]:
    """Accuracies of each column of datasets under the conditions, from the file that `make numbers` compares with."""

    def values(found: Any, rows: Rows) -> Values:
        by = {one["what"]: one["measured"] for one in found["numbers"]}
        return [[[by[f"{row[0]}, {title}, {of}"] for of in conditions] for title in titles] for row in rows]

    return values


def with_chance(found: Any, rows: Rows) -> Values:
    """Accuracies at one shot. The last row of the table is chance."""
    return [*accuracies(_SAMPLES, "1 shot")(found, rows[:-1]), [[20.0]] * len(_SAMPLES)]


def chosen(shots: int) -> Callable[[Any, Rows], Values]:
    """Accuracies with a chosen C and with C = 1."""
    return accuracies(_SAMPLES, f"{shots} shots, C = auto", f"{shots} shots, C = 1")


_SAMPLES = ("ESC-10 (sounds)", "FSDD, digits", "Arabic words", "FSDD, speakers")
_README = ("Arabic Speech Commands (20 words)", "ESC-10", "FSDD, digits", "FSDD, speakers", "Avg")

TABLES = [
    Table(
        "README.md",
        "evaluates eight encoders",
        "sample_accuracies",
        accuracies(_README, "1 shot"),
        columns=(1, 2, 3, 4, 5),
    ),
    Table("docs/samples.md", "### One shot", "sample_accuracies", with_chance, labels=2),
    *(
        Table(
            "docs/samples.md",
            text,
            "sample_accuracies",
            chosen(shots),
        )
        for shots, text in ((5, "### Five and twenty shots"), (20, "Twenty shots, 200 episodes"))
    ),
    Table("docs/samples.md", "### Noise", "noise", noise),
    Table("docs/active_labels.md", "## Does it help?", "active_labels", chosen_labels),
    Table(
        "docs/active_labels.md",
        "Accuracy in percent with the best encoder of each dataset",
        "active_labels",
        labels_by_dataset,
        labels=2,
    ),
    Table("docs/fusion.md", "## Does it help?", "fusion", fusion, labels=2),
    Table("docs/fusion.md", "## Do chosen weights help?", "fusion", chosen_fusion),
    Table("docs/statistics.md", "The sample cells: five points", "learning_curves", curve_laws),
    Table(
        "docs/diagnostics.md", "`python -m studies.planted_faults` plants", "planted_faults", planted_copies, labels=2
    ),
    Table("docs/diagnostics.md", "With 5% of the labels exchanged", "planted_faults", planted_labels),
]


def lost_in_noise(found: Any) -> list[float]:
    """Points that networks trained on words lose at 10 dB and at 0 dB: the smallest and the largest of each."""
    cells = {cell["upstream"]: cell for cell in found["cells"] if cell["shots"] == 5}
    words = [cells[name] for name in ("speech_embedding", "whisper_tiny_en", "moonshine_tiny")]
    lost = {db: [100 * (cell["clean"]["mean"] - cell[db]["mean"]) for cell in words] for db in ("10 dB", "0 dB")}
    return [*ends(lost["10 dB"]), *ends(lost["0 dB"])]


def named_accuracies(*names: str) -> Callable[[Any], list[float]]:
    """Accuracies by their names in the file: `FBANK, FSDD, digits, 20 shots, C = 1`."""

    def values(found: Any) -> list[float]:
        by = {one["what"]: one["measured"] for one in found["numbers"]}
        return [by[name] for name in names]

    return values


def one_shot(*cells: tuple[str, str]) -> Callable[[Any], list[float]]:
    """Accuracies of some encoders and datasets at one shot, as the page names them."""
    return named_accuracies(*(f"{encoder}, {title}, 1 shot" for encoder, title in cells))


def not_speakers(found: Any) -> list[float]:
    """Accuracies on speakers of FBANK and MFCC, then the smallest and largest of the networks that recognise words."""
    words = [(name, "FSDD, speakers") for name in ("speech_embedding", "Moonshine tiny", "Whisper tiny.en")]
    spectra = one_shot(("FBANK", "FSDD, speakers"), ("MFCC", "FSDD, speakers"))
    return [*spectra(found), *ends(one_shot(*words)(found))]


def curves(found: Any) -> list[float]:
    """How often the interval of the number of labels holds the true number, for each law."""
    return [
        100 * found["simulated"][name]
        for name in ("power_law", "noisy_centroids", "stretched_exponential", "straight_line", "all")
    ]


SENTENCES = [
    Sentence(
        "docs/samples.md",
        "(speech_embedding, Whisper and Moonshine lose {} to {} points) and lose {} to {} points at 0 dB.",
        "noise",
        lost_in_noise,
    ),
    Sentence(
        "docs/samples.md",
        "({} at 20 dB, {} clean). YAMNet loses most at 20 dB ({} points).",
        "noise",
        lambda found: [
            100 * (cell[one]["mean"] - (cell[less]["mean"] if less else 0))
            for name, shots, one, less in (
                ("resemblyzer", 1, "20 dB", None),
                ("resemblyzer", 1, "clean", None),
                ("yamnet", 5, "clean", "20 dB"),
            )
            for cell in found["cells"]
            if (cell["upstream"], cell["shots"]) == (name, shots)
        ],
    ),
    Sentence(
        "docs/samples.md",
        "at 20 shots FBANK on digits reaches {} with C = 1 and {} with C = auto.",
        "sample_accuracies",
        named_accuracies(*(f"FBANK, FSDD, digits, 20 shots, C = {c}" for c in ("1", "auto"))),
    ),
    Sentence(
        "docs/samples.md",
        "tells five speakers apart in {}% of the cases, and mean FBANK features do so in {}%.",
        "sample_accuracies",
        named_accuracies(*(f"{name}, FSDD, speakers, 20 shots, C = auto" for name in ("Whisper tiny.en", "FBANK"))),
    ),
    Sentence(
        "docs/samples.md",
        "FBANK ({}) and MFCC ({}) are better than speech_embedding, Moonshine and Whisper ({} to {}).",
        "sample_accuracies",
        not_speakers,
    ),
    Sentence(
        "docs/samples.md",
        "(Arabic words: {} and {}, compared with {} and {}; digits: MFCC has {} and FBANK {}, compared with {} and {}).",
        "sample_accuracies",
        one_shot(
            *((name, "Arabic words") for name in ("MFCC", "FBANK", "Resemblyzer", "YAMNet")),
            *((name, "FSDD, digits") for name in ("MFCC", "FBANK", "Resemblyzer", "YAMNet")),
        ),
    ),
    Sentence(
        "docs/samples.md",
        "MFCC ({}) is slightly better than Moonshine ({}).",
        "sample_accuracies",
        one_shot(("MFCC", "ESC-10 (sounds)"), ("Moonshine tiny", "ESC-10 (sounds)")),
    ),
    Sentence(
        "docs/statistics.md",
        "holds the truth for {}% of the power laws with a floor, {}% of the noisy centroids, {}% of the stretched exponentials "
        "and {}% of the straight lines, {}% together.",
        "learning_curves",
        curves,
    ),
    Sentence(
        "docs/statistics.md",
        "the interval of the accuracy holds the population's in {}%.",
        "learning_curves",
        lambda found: [100 * found["simulated"]["populations"]],
    ),
    Sentence(
        "docs/active_labels.md",
        "10 digits chosen by k-medoids come from {} classes on average, 10 random digits from {}.",
        "active_labels",
        lambda found: [
            next(
                one["methods"][name]["classes_seen"][1]
                for one in found["stores"]
                if (one["dataset"], one["upstream"]) == ("fsdd_digits", "speech_embedding")
            )
            for name in ("kmedoids", "random")
        ],
    ),
]
