"""Speech SimCLR (Jiang, Li, Cao, Zou and Li, Interspeech 2021) in JAX and Flax: from waveform to loss in one jitted
step.

- `features`: Kaldi's log-mel filterbank and its normalisation
- `augmentation`: of waveforms (speed, pitch, reverberation, noise) and of spectrograms (masks, TERA's alteration)
- `encoder`: the transformer, its projection and its reconstruction head
- `objectives`: NT-Xent (dense, tiled, sharded over devices) and reconstruction
- `data`: manifests, length buckets, loading
- `settings`: what users choose about all of these; `config` adds the rest of a pretraining's settings
- `monitoring`: what is measured of an encoder while it trains
- `training`: the training run
- `train`: `python -m jfewshot.simclr.train`
- `study`: trainings side by side
- `export`: a folder that `extraction` takes as an upstream, and the callable that it loads
"""
