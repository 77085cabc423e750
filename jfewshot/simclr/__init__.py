"""Speech SimCLR (Jiang, Li, Cao, Zou and Li, Interspeech 2021) in JAX and Flax. One jitted step computes everything from
waveforms to the loss.

- `features`: Kaldi's log-mel filterbank and its normalisation
- `augmentation`: changes waveforms (speed, pitch, reverberation, noise) and spectrograms (masks, TERA's alteration)
- `encoder`: the transformer, its projection and its reconstruction head
- `objectives`: NT-Xent (dense, tiled, sharded over devices) and reconstruction
- `data`: manifests, length buckets, loading
- `settings`: the options of all these parts; `config` has the other settings of a pretraining
- `monitoring`: measurements of an encoder while it trains
- `training`: the training run
- `train`: `python -m jfewshot.simclr.train`
- `study`: trains several encoders and compares these
- `export`: writes an encoder as a folder that `extraction` uses as an upstream, and loads it as a callable
"""
