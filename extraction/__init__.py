"""Extract embeddings: run encoders on audio and write embedding stores.

- `trying`: the command `jfewshot try`; `try_folder` is the same from Python
- `heads`: the commands `jfewshot fit` and `jfewshot apply`; `fit_head` and `apply_head` are the same from Python
- `run`: the command `jfewshot extract`; `launching` does the work
- `estimate`: the command `jfewshot estimate`; `estimating` does the work
- `options`: the options of these commands
- `settings`: how encoders are loaded, and how clips become rows of a store
- `datasets`: one file per dataset: its clips, their classes, groups and splits
- `upstreams`: one file per family of encoders
- `planning`: plans the stores of an extraction before any audio is read
- `pipeline`: extracts one dataset with one or more encoders
- `crews`: distributes the work over several processes, or a Ray cluster
- `making`: the loop that makes the parts of stores
- `parts`: finished parts on disk, from which a killed run continues
- `alterations`: noisy, reverberant and band-limited copies of a dataset
- `noises`: recorded noise for such copies
- `decoding`: decodes audio files to waves while the encoder works on earlier ones
- `encoding`: encodes waves to frames, in batches
- `pooling`: pools frames to one vector, or keeps the frames
- `assembling`: makes a store from its parts
- `costs`: the cost of an encoder: operations per clip, and clips per second
- `progress`: reports the progress of an extraction
- `allocator`: keeps freed memory in the process
- `samples`: rebuilds the sample stores
- `s3prl_checkpoint`: writes an exported encoder as a checkpoint of s3prl
- `tera`: converts s3prl's TERA checkpoints to our encoder
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extraction.heads.applying import apply_head
    from extraction.heads.fitting import fit_head
    from extraction.trying.trying import try_folder

__all__ = ["apply_head", "fit_head", "try_folder"]


def __getattr__(name: str) -> Any:
    # Imported on first use, since `--help` and extraction need neither the evaluator nor the report.
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
