"""Which options of `jfewshot run` fit together."""

from typing import TYPE_CHECKING

from jfewshot.errors import UserError

if TYPE_CHECKING:
    from jfewshot.options import RunOptions

_MOST_MEMORY_GB = 1_000_000


def check_together(options: "RunOptions") -> None:
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


def _check_no_statistics(options: "RunOptions") -> None:
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


def _check_mteb(options: "RunOptions") -> None:
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


def _check_ray(options: "RunOptions") -> None:
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
