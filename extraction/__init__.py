"""Audio in, embedding stores out.

- `trying`: the command `jfewshot try`; `try_folder` is the same from Python
- `heads`: the commands `jfewshot fit` and `jfewshot apply`; `fit_head` and `apply_head` are the same from Python
- `run`: the command `jfewshot extract`; `launching` does the work
- `estimate`: the command `jfewshot estimate`; `estimating` does the work
- `options`: the options of these commands
- `settings`: how encoders are loaded, and how clips become rows of a store
- `datasets`: one file per dataset: its clips, their classes, groups and splits
- `upstreams`: one file per family of encoders
- `planning`: what an extraction will make, decided before any audio is read
- `pipeline`: one dataset through one or more encoders
- `crews`: who does the work: several processes, or a Ray cluster
- `making`: the loop that makes parts of stores
- `parts`: finished parts on disk, from which a killed run continues
- `alterations`: noisy, reverberant and band-limited copies of a dataset
- `noises`: recorded noise for such copies
- `decoding`: audio files to waves, ahead of the encoder
- `encoding`: waves to frames, in batches
- `pooling`: frames to one vector, or the frames themselves
- `assembling`: parts to a store
- `costs`: what an encoder costs: operations for a clip, and clips per second
- `progress`: how far an extraction is
- `allocator`: memory that is freed stays with the process
- `samples`: rebuilds the sample stores
- `s3prl_checkpoint`: an exported encoder as a checkpoint of s3prl
- `tera`: s3prl's TERA checkpoints as our encoder
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extraction.heads.applying import apply_head
    from extraction.heads.fitting import fit_head
    from extraction.trying.trying import try_folder

__all__ = ["apply_head", "fit_head", "try_folder"]


def __getattr__(name: str) -> Any:
    # Lazily: `--help` and extraction need neither the evaluator nor the report.
    if name == "try_folder":
        from extraction.trying.trying import try_folder

        return try_folder
    if name == "fit_head":
        from extraction.heads.fitting import fit_head

        return fit_head
    if name == "apply_head":
        from extraction.heads.applying import apply_head

        return apply_head
    raise AttributeError(f"module 'extraction' has no attribute '{name}'")
