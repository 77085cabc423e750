"""Describe a diagnosis as text, for a terminal."""

from collections.abc import Sequence

from jfewshot.printable import counted, in_a_line
from jfewshot.store.diagnostics.diagnosing import Clip, Diagnosis, Pair, Space, Suspect

MOST_LISTED = 20  # pairs and clips that a terminal shows; JSON has all


def describe_diagnosis(diagnosis: Diagnosis) -> str:
    """The measures of each space, the similarity of spaces, and the clips to listen to, in lines.

    Args:
      diagnosis: from `diagnose_stores`.

    Returns:
      lines, without a newline at the end.
    """
    head = f"{diagnosis.dataset_title}: embeddings of {counted(diagnosis.n_drawn, 'clip')}"
    if diagnosis.n_drawn < diagnosis.n_clips:
        head += f" of {diagnosis.n_clips:,}"
    lines = [head]
    for space in diagnosis.spaces:
        lines += [f"  {space.title}, {space.view}, {space.dim}-d", *(f"    {text}" for text in _measures(space))]
    if len(diagnosis.spaces) > 1:
        lines.append(f"  similarity of spaces (debiased linear CKA over {counted(diagnosis.n_cka, 'clip')})")
        lines += [f"    {text}" for text in _similarities(diagnosis)]
    lines.append(f"  {copies_heading(diagnosis)}")
    lines += [f"    {text}" for text in _listed([pair_text(pair) for pair in diagnosis.near_copies])]
    lines.append(f"  {suspects_heading(diagnosis)}")
    lines += [f"    {text}" for text in _listed([suspect_text(one) for one in diagnosis.suspects])]
    return "\n".join(map(in_a_line, lines))


def copies_heading(diagnosis: Diagnosis) -> str:
    """A heading with the number of pairs of near-duplicate clips.

    Args:
      diagnosis: from `diagnose_stores`.
    """
    found = len(diagnosis.near_copies)
    if not found:
        return "no clips of different classes or groups are alike beyond chance"
    return (
        f"{counted(found, 'pair')} of clips of different classes or groups {'is' if found == 1 else 'are'} alike beyond chance: "
        "likely one recording twice"
    )


def suspects_heading(diagnosis: Diagnosis) -> str:
    """A heading with the number of suspect labels and the encoders that found them.

    Args:
      diagnosis: from `diagnose_stores`.
    """
    if not diagnosis.asked:
        return "wrong labels were not searched for: no encoder recognises 60% of the clips from all other clips"
    found = len(diagnosis.suspects)
    looks = counted(found, "label looks", "labels look") if found else "no label looks"
    return f"{looks} wrong to {' and '.join(diagnosis.asked)}"


def pair_text(pair: Pair) -> str:
    """`a.wav = b.wav (class 'x', groups 'p' and 'q'; strength 7.3)`.

    Args:
      pair: a pair of a diagnosis.
    """
    between = difference(pair.first, pair.second)
    return f"{pair.first.clip_id} = {pair.second.clip_id} ({between}; strength {pair.strength:.1f})"


def difference(first: Clip, second: Clip) -> str:
    """How the classes and groups of two clips differ.

    Args:
      first: one clip.
      second: the other clip.
    """
    texts = []
    if first.label != second.label:
        texts.append(f"classes '{first.label}' and '{second.label}'")
    elif first.label:
        texts.append(f"class '{first.label}'")
    if first.group != second.group:
        texts.append(f"groups '{first.group}' and '{second.group}'")
    elif first.group:
        texts.append(f"group '{first.group}'")
    return ", ".join(texts) or "no class, no group"


def suspect_text(one: Suspect) -> str:
    """`a.wav (class 'dog') is like 'rooster', margin 0.8`.

    Args:
      one: a suspect of a diagnosis.
    """
    return f"{one.clip.clip_id} (class '{one.clip.label}') is like '{one.given_to}', margin {one.margin:.2f}"


def _measures(space: Space) -> list[str]:
    texts = [
        f"effective rank {space.effective_rank:.1f}, 90% of the variance in {counted(space.directions, 'direction')}, "
        f"mean cosine {space.mean_cosine:.2f}"
    ]
    if space.hubness is not None:
        texts.append(
            f"hubness {space.hubness.skewness:.2f}: {100 * space.hubness.never:.0f}% of the clips are a neighbour of none, the "
            f"largest hub is a neighbour of {100 * space.hubness.largest:.0f}%"
        )
    if space.silhouette is not None and space.label_alignment is not None and space.left_out_accuracy is not None:
        texts.append(
            f"labels: silhouette {space.silhouette:.2f}, alignment {space.label_alignment:.2f}, "
            f"{100 * space.left_out_accuracy:.1f}% recognised from all other clips"
        )
    if space.without_direction:
        texts.append(
            f"{counted(space.without_direction, 'clip has', 'clips have')} no direction (zero, NaN or infinite)"
        )
    return texts


def _similarities(diagnosis: Diagnosis) -> list[str]:
    wide = max(len(space.title) for space in diagnosis.spaces)
    return [
        f"{space.title:<{wide}}  {' '.join(f'{value:5.2f}' for value in row)}"
        for space, row in zip(diagnosis.spaces, diagnosis.debiased_cka, strict=True)
    ]


def _listed(texts: Sequence[str]) -> list[str]:
    more = len(texts) - MOST_LISTED
    return [*texts[:MOST_LISTED], *([f"and {more} more; --json lists all"] if more > 0 else [])]
