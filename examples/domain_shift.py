"""How much accuracy is lost when the labelled clips come from another speaker than the clips to be classified?

    python examples/domain_shift.py [FOLDER]

Compares encoders on spoken digits of six speakers, from the sample stores that come with jfewshot. For stores of your own the
column may be a site, a microphone, a year: whatever the stores' tables of clips hold. FOLDER keeps the results, so that a second
call computes nothing; without it they go to a temporary folder.
"""

import sys
import tempfile
from pathlib import Path

import jfewshot

ENCODERS = ("mfcc", "whisper_tiny_en", "yamnet")


def main(folder: Path, n_episodes: int = 400, shots: int = 5) -> dict[str, dict[str, float]]:
    """Evaluate, and print accuracies in percent; returns them, by encoder and by whose clips the support holds."""
    jfewshot.use_all_cores()
    samples = Path(jfewshot.__file__).parent / "data" / "stores" / "fsdd_digits"
    speakers = sorted(set(jfewshot.open_store(samples / ENCODERS[0]).clips.group))
    found: dict[str, dict[str, float]] = {}
    for name in ENCODERS:
        of_support: dict[str, list[float]] = {"same": [], "another": []}
        for speaker, other in zip(speakers, speakers[1:] + speakers[:1], strict=True):
            for whose, support in (("same", speaker), ("another", other)):
                # The queries are the same for both, so the difference is a paired one.
                (record,) = jfewshot.evaluate(
                    samples / name,
                    shots=shots,
                    n_query=3,
                    n_episodes=n_episodes,
                    support_where=[f"group={support}"],
                    query_where=[f"group={speaker}"],
                    out=folder,
                )
                of_support[whose].append(record["accuracy"]["mean"])
        found[name] = {whose: sum(values) / len(values) for whose, values in of_support.items()}
    print(f"{'encoder':18} {'same speaker':>13} {'another':>9} {'lost':>7}")
    for name, of in sorted(found.items(), key=lambda item: -item[1]["another"]):
        same, another = 100 * of["same"], 100 * of["another"]
        print(f"{name:18} {same:12.1f}% {another:8.1f}% {same - another:6.1f}")
    print("With intervals and every pair of speakers: jfewshot shift --by group --datasets fsdd_digits")
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
