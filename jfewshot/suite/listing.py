"""Suites in words, for the terminal."""

from jfewshot.printable import counted
from jfewshot.suite.definition import Suite


def suite_line(suite: Suite) -> str:
    """A suite in two lines.

    Args:
      suite: any suite.
    """
    sizes = f"{counted(len(suite.tasks), 'task')} on {counted(len(suite.datasets), 'dataset')}"
    return f"{suite.name}, version {suite.version}: {suite.title} ({sizes})\n  {suite.description}"


def tasks_text(suite: Suite) -> str:
    """A suite with its tracks, datasets, anchors and what is not known yet.

    Args:
      suite: any suite.
    """
    lines = [suite_line(suite), "", "Tracks:"]
    for track in suite.tracks:
        protocol = track.protocol
        rule = "the strength is chosen in each episode" if track.strength_rule == "auto" else "it has no strength"
        lines.append(
            f"  {track.name:10}  {track.title}: {protocol.n_way}-way {protocol.k_shot}-shot, {protocol.n_query} "
            f"{'query' if protocol.n_query == 1 else 'queries'} per class, {protocol.n_episodes:,} episodes, seed "
            f"{protocol.seed}, classes of at least {protocol.min_clips} clips, {track.preprocessing}, {track.classifier} ({rule})"
        )
    lines += ["", "Tasks (accuracy in percent that scores 0, and 1000):"]
    for task in suite.tasks:
        classes, digests = suite.classes(task), suite.digests[task.name]
        known = [f"{len(classes)} classes" if classes is not None else "classes not known yet"]
        known += [
            f"{what} not known yet"
            for what, value in (("clips", digests.clip_table), ("draws", digests.draws))
            if not value
        ]
        lines.append(
            f"  {task.name:28}  {100 * task.lower:.2f} to {100 * task.upper:.2f} ({task.upper_of}); {', '.join(known)}"
        )
    lines += ["", f"Definition: {suite.definition}"]
    return "\n".join(lines) + "\n"
