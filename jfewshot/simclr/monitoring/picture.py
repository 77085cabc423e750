"""Draws the measurements of a run."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from jfewshot.files import atomic_write

NAME = "monitor.png"
_ACROSS = 250  # largest number of points of the loss that are drawn


def draw_run(folder: Path) -> Path | None:
    """Draw loss, few-shot accuracy, effective rank and spread over the steps, with collapses marked.

    Args:
      folder: folder of the run, with metrics.jsonl.

    Returns:
      the file of the picture; None if there are no measurements yet.
    """
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    measured = [line for line in lines if "effective_rank" in line]
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    if not measured:
        return None
    shots = sorted((name for name in measured[-1] if name.startswith("few_shot_")), key=lambda name: int(name[9:]))
    panels = ["loss", *(["few-shot accuracy"] if shots else []), "effective rank", "spread"]
    figure = Figure(figsize=(7, 2.0 * len(panels)), layout="constrained")
    axes = dict(zip(panels, figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0], strict=True))
    # Each point is the mean of several steps, because single steps of a long run would look like a band of noise.
    width = max(1, len(losses) // _ACROSS)
    means = [losses[start : start + width] for start in range(0, len(losses), width)]
    axes["loss"].plot([part[-1][0] for part in means], [sum(loss for _, loss in part) / len(part) for part in means])
    steps = [line["step"] for line in measured]
    for name in shots:
        values = [100 * line.get(name, float("nan")) for line in measured]
        axes["few-shot accuracy"].plot(steps, values, marker="o", markersize=3, label=f"{name[9:]}-shot")
    if shots:
        axes["few-shot accuracy"].legend()
    axes["effective rank"].plot(steps, [line["effective_rank"] for line in measured], marker="o", markersize=3)
    axes["spread"].semilogy(steps, [max(line["spread"], 1e-12) for line in measured], marker="o", markersize=3)
    for panel, axis in axes.items():
        axis.set_ylabel(f"{panel}, %" if "accuracy" in panel else panel)
        axis.grid(alpha=0.3)
        for line in measured:
            if "collapse" in line:
                axis.axvline(line["step"], color="tab:red", alpha=0.4, linewidth=1)
    axes["spread"].set_xlabel("step" + (" (red: collapse)" if any("collapse" in line for line in measured) else ""))
    with atomic_write(folder / NAME) as file:
        figure.savefig(file, format="png", dpi=120)
    return folder / NAME
