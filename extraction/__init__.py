"""Audio in, embedding stores out.

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
- `decoding`: audio files to waves, ahead of the encoder
- `encoding`: waves to frames, in batches
- `pooling`: frames to one vector, or the frames themselves
- `assembling`: parts to a store
- `progress`: how far an extraction is
- `allocator`: memory that is freed stays with the process
- `samples`: rebuilds the sample stores
- `tera`: s3prl's TERA checkpoints as our encoder
"""
