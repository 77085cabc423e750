"""The options of `jfewshot run` and `jfewshot report`: dataclasses that are the command lines and their help.

`check_together` says which options of `jfewshot run` fit together.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import arg

from jfewshot.errors import UserError

_MOST_MEMORY_GB = 1_000_000
ReportMetric = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "top_2_accuracy", "top_3_accuracy", "top_5_accuracy"
]
Metric = Literal[ReportMetric, "auroc"]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Evaluate stored embeddings on few-shot episodes and print a table of upstreams x datasets.

    Without options, the sample stores that come with jfewshot are evaluated: real encoders on real recordings. Results that are
    in the output folder already are not computed again, so an interrupted run continues when the same command is given.
    """

    EXAMPLES: ClassVar = (
        "jfewshot run",
        "jfewshot run --stores stores --shots 1 5 --classifiers logistic:C=0.1,1,10 centroid",
        "jfewshot run --stores stores --protocol paper --split test --out results/paper",
        "jfewshot run --stores stores --protocol mteb --out results/mteb",
        "jfewshot run --fuse whisper_tiny_en+yamnet --fuse-weights equal auto --shots 5",
    )
    HEADINGS: ClassVar = {
        "stores": "Which embeddings",
        "protocol": "Episodes",
        "classifiers": "Classifier and preprocessing",
        "out": "Output",
        "memory_gb": "Machine",
        "shard": "Several machines",
    }

    stores: tuple[Path, ...] = ()
    """Folders of stores, or folders that contain such folders at any depth. Without this option, the sample stores."""
    datasets: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Evaluate only the stores of these datasets. Without this option, all datasets."""
    upstreams: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Evaluate only the stores of these upstreams (encoders). Without this option, all upstreams."""
    views: Annotated[tuple[str, ...], arg(metavar="LAYER.POOLING [LAYER.POOLING ...]")] = ()
    """Which arrays of a store to evaluate, for instance last.mean or 3.mean; `jfewshot store inspect` lists the views of a
    store. Without this option, the default view that a store's manifest names, or last.mean, or a store's first view."""
    clips: Literal["same", "intersection"] = "same"
    """What to do when stores of one dataset contain different clips: same refuses to run, intersection uses only the clips that
    all of these stores share."""
    fuse: Annotated[tuple[str, ...], arg(metavar="A+B|pairs [...]")] = ()
    """Also evaluate upstreams together, whose embeddings are put side by side, each scaled to length 1: whisper_tiny_en+yamnet,
    or several such names. pairs means every two of the evaluated upstreams of each dataset. A dataset that lacks a part is
    skipped, and named in the log. Without this option, no fusions."""
    mix: Literal["layers"] | None = None
    """Also evaluate the layers of each store together: all layers of the default view's pooling, or those that --views names.
    A store with a single layer is skipped, and named in the log. Without this option, no mixtures of layers."""
    fuse_weights: Annotated[tuple[str, ...], arg(metavar="equal|auto|N-N [...]")] = ()
    """Weights of the parts of --fuse and of the layers of --mix: equal, or percentages that sum to 100 as in 75-25, or auto,
    which chooses weights in each episode by leave-one-out on its support clips (equal ones at one shot). Several make a result
    for each; `jfewshot report` then chooses among fixed weights on the validation split. A fusion can also have weights of its
    own, as in whisper_tiny_en+yamnet@75-25. Without this option, equal."""
    protocol: Literal["default", "paper", "mteb", "mteb_faithful"] = "default"
    """Evaluation protocol. paper is the protocol of Heggan et al. (2024): the sgd classifier with 100 epochs, L2-normalised
    embeddings, 5-way 1-shot episodes with 1 query clip per class, and a majority vote over the segments of a query clip.
    Other options on the command line change single parts of the protocol. mteb is the audio classification of the Massive Text
    Embedding Benchmark: logistic regression on unchanged embeddings, 8 clips per class, all classes, and all other clips of the
    test split or of one of five folds (docs/mteb.md); with --episodes, as many experiments, drawn independently. mteb_faithful
    calls scikit-learn as mteb does, which stops after 100 iterations."""
    ways: Annotated[tuple[int | Literal["all"], ...] | None, arg(metavar="N|all [N|all ...]")] = None
    """Number of classes per episode. Several numbers make several tables; all means every class of the dataset. Without this
    option, 5."""
    shots: Annotated[tuple[int | Literal["all"], ...] | None, arg(metavar="N|all [N|all ...]")] = None
    """Number of support (training) clips per class. Several numbers make several tables; the support clips of a smaller
    number are part of those of a larger one, and the query clips are equal. all trains on all support clips of an episode's
    classes; where no option separates support and query clips, a quarter of each class, in whole groups, is then kept for
    queries at every number of shots. Without this option, 1."""
    small_classes: Literal["refuse", "leave", "stop"] = "refuse"
    """What to do with classes that have too few clips for the largest number of shots: refuse ends the run and names them,
    leave leaves them out at every number of shots and lists them, and stop ends a dataset's curve at the largest number of shots
    for which all of its classes have enough clips."""
    n_query: Annotated[int | Literal["all"] | None, arg(metavar="N|all")] = None
    """Number of query (test) clips per class; all means every clip that is no support clip of the episode, and results then
    have balanced accuracy and macro F1 also. Without this option, 15, or 1 with --protocol paper."""
    query_balance: Annotated[str, arg(metavar="equal|dirichlet:N")] = "equal"
    """How the query clips of an episode are divided among its classes. equal gives each class --n-query clips. dirichlet:2 draws
    different shares for each episode, from a Dirichlet distribution of that concentration. --n-query is then the mean, and a
    class has at most three times as many. Results also have balanced accuracy and macro F1."""
    episodes: Annotated[int | None, arg(metavar="N")] = None
    """Number of episodes for each combination of upstream, dataset, classifier and shots. Without this option, 10000, or
    mteb's own 10 or 5 experiments with --protocol mteb."""
    seed: int = 42
    """Number that determines the drawn episodes. Runs with equal seeds use the same clips for every upstream and classifier."""
    split: Annotated[str | None, arg(metavar="NAME")] = None
    """Draw classes and clips from this split of the dataset only, for instance test. Without this option, from all clips."""
    support_split: Annotated[str | None, arg(metavar="NAME")] = None
    """Draw support clips from this split of the dataset, for instance train. Without this option, from all clips."""
    query_split: Annotated[str | None, arg(metavar="NAME")] = None
    """Draw query clips from this split of the dataset, for instance test. Without this option, from all clips."""
    support_where: Annotated[tuple[str, ...], arg(metavar="COLUMN=VALUE [...]")] = ()
    """Draw support clips from the clips with this value in a column of the clip table: group, or a further column such as site.
    COLUMN!=VALUE means all other values; a column that is named twice allows both values; conditions on several columns must
    all hold. Without this option, all clips."""
    query_where: Annotated[tuple[str, ...], arg(metavar="COLUMN=VALUE [...]")] = ()
    """Draw query clips from the clips with this value in a column, as --support-where does for support clips. Without this
    option, all clips."""
    support_from: Annotated[tuple[Path, ...], arg(metavar="STORE [...]")] = ()
    """Draw support clips from these stores of other recordings of the same classes, for instance noisy copies or another
    microphone, or folders that contain such stores; --stores gives the query clips. Each evaluated store takes the one of its
    upstream. No clip is support and query of one episode, nor is another recording of it, which has the same clip id. Without
    this option, from the evaluated store."""
    unknown_ways: Annotated[int, arg(metavar="N")] = 0
    """Number of classes of an episode that have query clips and no support clips, in addition to --ways. Results then have how
    well several confidence scores separate these query clips from the others: area under the ROC curve, and the share of unknown
    query clips that are taken for known ones where 95% of the known ones are accepted. Accuracy is that of the other query
    clips."""
    min_clips: int | None = None
    """Leave out classes with fewer clips than this number; the log lists these classes. Where support and query clips are drawn
    from separate clips, classes with fewer on either side are left out. Without this option, a class that is too small for an
    episode is an error."""
    group_aware: bool = False
    """In an episode, never draw a query clip from the group (speaker, recording, site) of a support clip of its class."""
    query_segments: Literal["vote", "mean", "one"] = "vote"
    """How a query clip of several segments is classified: vote is the majority of its segments, mean is the class with the
    highest mean score, one uses a single segment drawn at random."""
    classifiers: Annotated[tuple[str, ...] | None, arg(metavar="NAME[:SETTING=VALUE] [...]")] = None
    """Classifiers to train on the support clips: logistic, ridge, svm, sgd, centroid, knn. Settings follow a colon:
    sgd:epochs=20, centroid:metric=cosine, knn:k=3, and kernel=rbf for any of them, as in ridge:alpha=auto:kernel=rbf.
    propagation, sinkhorn, tim, alpha_tim and laplacian_shot are transductive: they decide all query clips of an episode
    together. Several values make a result for each, as in logistic:C=0.1,1,10. logistic:C=auto, svm:C=auto and
    ridge:alpha=auto choose a value in each episode, from its support clips. Without this option, logistic at one shot,
    ridge:alpha=auto where --shots asks for more, or sgd with --protocol paper."""
    preprocessing: Literal["none", "l2", "center", "center_l2", "standardize", "whiten", "whiten_l2"] | None = None
    """Change the embeddings before classification: l2 scales each to length 1, center subtracts the mean, center_l2 subtracts
    the mean and scales to length 1, standardize subtracts the mean and divides by the standard deviation, whiten makes all
    directions vary equally, whiten_l2 does that and scales to length 1. The mean, deviation and covariance come from the
    training split of the dataset; a dataset without one needs --statistics-from or --transductive. Without this option, l2, or
    none with --protocol mteb."""
    statistics_from: Annotated[tuple[Path, ...], arg(metavar="train|shipped|STORE [...]")] = ()
    """Take the statistics for --preprocessing from the clips of these stores, instead of the training split (train). Of several
    stores, or of a folder of stores, those of the same upstream and of another dataset are taken together. shipped means the
    statistics of spoken words that come with jfewshot, for the encoders of the sample stores; a file of statistics that
    `jfewshot store statistics` wrote can also be named. Whitening refuses statistics of evaluated clips."""
    center_from: Annotated[Path | None, arg(metavar="STORE")] = None
    """The old name of --statistics-from, for one store."""
    shrinkage: float = 1.0
    """How much of the mean variance whitening adds to the variance of each direction. More changes the embeddings less."""
    transductive: bool = False
    """Compute the statistics for --preprocessing from all clips of the evaluated store, of every split: --split chooses what
    episodes are drawn from, not what the statistics are of. With --statistics-from, let these stores hold evaluated clips. The
    results are marked as transductive."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("results")
    """Folder for the results. Results that are there already are read and not computed again."""
    keep: Literal["predictions", "counts", "scores"] = "predictions"
    """What to keep of each cell next to its record: predictions keeps the predicted class of every query clip, counts keeps how
    many query clips of each class of an episode were right, scores also keeps the log-probabilities of every query clip in half
    precision. Counts take about a fifth of the disk; a report on counts shows no confusion matrix, and its pairs of upstreams are
    compared for new classes only. Scores take about 40 times the disk at 5 ways; a report on scores shows how far probabilities
    can be trusted."""
    estimate: bool = False
    """Print how many cells have to be computed and how much disk their results take, and compute nothing."""
    interval: Literal["ci95", "pool_ci95", "both"] = "ci95"
    """Which 95% interval the table shows: ci95 is the one that papers report, pool_ci95 accounts for the limited number of
    clips and classes, both shows the two."""
    metric: Metric = "accuracy"
    """What the table shows: accuracy is the share of right query clips, balanced_accuracy the mean over the classes of that
    share, macro_f1 the mean over the classes of F1. These two differ from accuracy with --n-query all only. top_2_accuracy is the
    share of query clips whose class is among the two most probable ones, with --keep scores."""
    markdown: Annotated[Path | None, arg(metavar="FILE")] = None
    """Also write the tables to this file as Markdown."""
    latex: Annotated[Path | None, arg(metavar="FILE")] = None
    """Also write the tables to this file as LaTeX."""
    csv: Annotated[Path | None, arg(metavar="FILE")] = None
    """Also write the tables to this file as one CSV table; its first column names the condition of each row."""
    memory_gb: float | None = None
    """Memory for embeddings and for the episodes that are computed at a time, in GB. Without this option, a quarter of the
    machine's memory but at most 4 GB on a CPU, and half of the device's memory on a GPU."""
    devices: int | None = None
    """Use only this many devices (CPU cores or GPUs); with --ray, for each worker. Without this option, all devices."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder (or in the folder that JAX_COMPILATION_CACHE_DIR names), so that the next
    run starts faster."""
    profile: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Print where the time went, and write this table and JAX's trace to a folder. The run becomes slightly slower."""
    shard: Annotated[str | None, arg(metavar="I/N")] = None
    """Compute only share I (from 0 to N-1) of N shares of the work, for instance 0/4 as one job of a cluster's array of
    jobs."""
    coordinator: Annotated[str | None, arg(metavar="auto|HOST:PORT")] = None
    """Share the work among several processes (docs/clusters.md). auto finds the other processes under SLURM, Open MPI,
    Kubernetes or on a TPU slice; otherwise name the HOST:PORT of process 0 and also give --processes and --process. Process 0
    writes the results and prints the table."""
    processes: int | None = None
    """How many processes share the work; needed with --coordinator HOST:PORT."""
    process: int | None = None
    """Number of this process, from 0; needed with --coordinator HOST:PORT."""
    ray: Annotated[tuple[str, ...] | None, arg(metavar="[ADDRESS]")] = None
    """Share the cells out over a Ray cluster whose machines have a common disk for stores and results (docs/clusters.md). When
    a machine dies, the others compute its cells. Each worker has one GPU, or one CPU core where there is no GPU; --devices N
    gives each worker N, and --memory-gb is for each worker. ADDRESS may be left out: the cluster is then the one that
    RAY_ADDRESS names, or that of this machine. Without this option, no cluster is used."""


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Turn results into tables, figures, exports and one HTML page that opens without a network.

    All numbers are computed again from the records and the predictions that `jfewshot run` kept. The page is index.html in the
    output folder; the folders tables, figures and exports hold the same results for papers, pull requests and programs.
    """

    EXAMPLES: ClassVar = (
        "jfewshot report results",
        "jfewshot report results --correlate-with wer.csv --lower-is-better wer",
        "jfewshot report --compare results/before results/after",
        "jfewshot report --paper",
        "jfewshot report --paper-speech-simclr",
    )
    HEADINGS: ClassVar = {
        "out": "Output",
        "interval": "Statistics",
        "correlate_with": "Scores from elsewhere",
        "hub_dataset": "Exports",
        "paper": "Other reports",
    }

    results: Annotated[Path, tyro.conf.Positional] = Path("results")
    """Folder that `jfewshot run` filled with results."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("report")
    """Folder to write the report to."""
    title: str = "Few-shot evaluation of frozen audio encoders"
    """Heading of the HTML page."""
    style: Literal["published", "dense"] = "published"
    """Number format of the tables: published prints two decimals as the papers do, dense prints one decimal."""
    formats: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")
    """File formats of the figures."""
    figures_at_most: int = 2
    """Draw figures for at most this many leaderboards, those with the most results first."""
    published: bool = True
    """Show the published Table 3 of the few-shot paper and the scores of SUPERB next to results of the same upstreams and
    datasets."""
    interval: Literal["both", "ci95", "pool_ci95", "pool_ci95_classes_fixed"] = "both"
    """Which 95% interval follows each mean: ci95 holds for these clips only, as the papers report it; pool_ci95 also holds for
    other classes and clips; pool_ci95_classes_fixed holds for other clips of these classes; both shows ci95 and pool_ci95."""
    metric: ReportMetric = "accuracy"
    """What the report shows: accuracy is the share of right query clips, balanced_accuracy the mean over the classes of that
    share, macro_f1 the mean over the classes of F1. Macro F1 is known for results of --n-query all only, and
    top_2_accuracy, the share of query clips whose class is among the two most probable ones, for results of --keep scores."""
    pool: Literal["classes", "clips"] = "classes"
    """What a difference between two upstreams is expected to hold for: classes means other classes with other clips, clips
    means other clips of the same classes."""
    permutation: bool = False
    """Compute the p-values of average differences by sign-flip permutation over classes, instead of Student's t."""
    compare_at_most: int = 12
    """Compare at most this many of the best upstreams in pairs."""
    correlate_with: Annotated[Path | None, arg(metavar="FILE")] = None
    """CSV file of scores from another benchmark, to correlate with the few-shot accuracies: upstream names in the first column
    and one score in each further column."""
    lower_is_better: Annotated[tuple[str, ...], arg(metavar="COLUMN [COLUMN ...]")] = ()
    """Columns of the --correlate-with file in which a lower score is better, for instance error rates."""
    correlation: Literal["spearman", "pearson"] = "spearman"
    """Correlation coefficient for the scores of the --correlate-with file, and for the figures of --paper."""
    logit: bool = False
    """Before correlating, take logits of the accuracies and of those scores that lie between 0 and 1."""
    hub_dataset: Annotated[str | None, arg(metavar="USER/NAME")] = None
    """Also write files for the Hugging Face Hub to exports/hub: eval.yaml for the dataset with this id, and .eval_results for
    each model. Without this option, none, since both name a dataset of the Hub."""
    paper: bool = False
    """Instead of results, report the published numbers of the few-shot paper: its tables, its figures, and whether each claim
    of its text holds."""
    paper_speech_simclr: bool = False
    """Instead of results, report the published numbers of Speech SimCLR: Tables 1, 2 and 4, and whether each conclusion of its
    text holds."""
    beside: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")] = ()
    """Folders of your own results, used with --paper and --paper-speech-simclr. With --paper they are results of `jfewshot run`,
    whose 5-way 1-shot numbers stand in the paper's tables and figures, each with its difference from the published number. With
    --paper-speech-simclr they are output folders of `jfewshot emotion`, `jfewshot asr` and `jfewshot phones`."""
    compare: Annotated[tuple[Path, Path] | None, arg(metavar="BEFORE AFTER")] = None
    """Instead of one report, compare two folders of results: which accuracies changed, by how much, and whether the change is
    larger than chance."""


def check_together(options: RunOptions) -> None:
    """Refuse options of `jfewshot run` that contradict each other, or of which one would be ignored.

    Args:
      options: each fits its own type already.

    Raises:
      UserError: naming the option, and what to do.
    """
    if options.memory_gb is not None and not 0 < options.memory_gb <= _MOST_MEMORY_GB:
        raise UserError(f"--memory-gb is {options.memory_gb}; it must be more than 0, and at most {_MOST_MEMORY_GB:,}")
    if options.coordinator is None and (options.processes, options.process) != (None, None):
        raise UserError("--processes and --process need --coordinator HOST:PORT")
    if options.coordinator is not None and options.shard is not None:
        raise UserError("--shard and --coordinator both share out the cells; choose one")
    if options.estimate and options.coordinator is not None:
        raise UserError("--estimate is for one process; leave out --coordinator")
    if options.fuse_weights and not (options.fuse or options.mix):
        raise UserError("--fuse-weights are those of --fuse and --mix; add one of these, for instance --fuse pairs")
    if options.protocol.startswith("mteb"):
        _check_mteb(options)
    elif options.metric == "macro_f1" and options.n_query != "all" and options.query_balance == "equal":
        raise UserError(
            "--metric macro_f1 is computed where all queries are asked; add --n-query all, or --query-balance dirichlet:2"
        )
    if options.preprocessing in (None, "none", "l2"):
        _check_no_statistics(options)
    if options.ray is not None:
        _check_ray(options)


def _check_no_statistics(options: RunOptions) -> None:
    """Refuse options on statistics that the preprocessing does not use: whoever gives them expects them to matter."""
    name = options.preprocessing or ("none" if options.protocol.startswith("mteb") else "l2")
    given = {
        "--statistics-from": options.statistics_from,
        "--center-from": options.center_from is not None,
        "--shrinkage": options.shrinkage != type(options)().shrinkage,
        "--transductive": options.transductive,
    }
    other = next((flag for flag, value in given.items() if value), None)
    if other is not None:
        raise UserError(
            f"{other} is given, and --preprocessing {name} uses no statistics of clips; add --preprocessing whiten_l2, or "
            f"leave {other} out"
        )


def _check_mteb(options: RunOptions) -> None:
    """Refuse options that would make another protocol of mteb's."""
    given = {
        "--ways": options.ways,
        "--shots": options.shots,
        "--small-classes": None if options.small_classes == "refuse" else options.small_classes,
        "--n-query": options.n_query,
        "--query-balance": None if options.query_balance == "equal" else options.query_balance,
        "--support-where": options.support_where,
        "--query-where": options.query_where,
        "--support-from": options.support_from,
        "--unknown-ways": options.unknown_ways,
        "--fuse": options.fuse,
        "--mix": options.mix,
        "--min-clips": options.min_clips,
        "--group-aware": options.group_aware,
        "--query-segments": None if options.query_segments == "vote" else options.query_segments,
        "--classifiers": options.classifiers,
        "--preprocessing": None if options.preprocessing == "none" else options.preprocessing,
        "--statistics-from": options.statistics_from,
        "--center-from": options.center_from,
        "--shrinkage": options.shrinkage != type(options)().shrinkage,
        "--transductive": options.transductive,
    }
    other = next((name for name, value in given.items() if value), None)
    if other is not None:
        raise UserError(
            f"--protocol {options.protocol} fixes what {other} sets; leave {other} out, or describe a protocol of your own "
            "without --protocol, for instance --ways all --shots 8 --n-query all"
        )


def _check_ray(options: RunOptions) -> None:
    others = {"--shard": options.shard, "--coordinator": options.coordinator}
    for name, value in others.items():
        if value is not None:
            raise UserError(f"{name} and --ray both share out the cells; choose one")
    if options.profile is not None:
        raise UserError("--profile measures one process, and with --ray others do the work; leave out one of the two")
    if len(options.ray or ()) > 1:
        raise UserError(f"--ray takes one address, and is given {len(options.ray or ())}; write --ray HOST:PORT")
    if options.devices is not None and options.devices < 1:
        raise UserError(f"--devices is {options.devices}; with --ray, each worker needs 1 or more")
