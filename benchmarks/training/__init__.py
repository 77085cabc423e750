"""Benchmarks of pretraining, emotion recognition and speech recognition.

- `simclr_step`: a training step compared with PyTorch's and s3prl's
- `simclr_torch`: our encoder in PyTorch, for that comparison
- `simclr_loss`: time and memory of the NT-Xent loss on one and several devices
- `simclr_signal`: speed of the filter bank and of the augmentations
- `simclr_projection`: time of the published trainings, estimated from measured steps
- `simclr_hours`: time of the published training on three machines, estimated from the count of operations
- `simclr_memory`: how many utterances of a batch fit a device's memory, counted from the compiled step
- `simclr_input`: how much speech a CPU core decodes, compared with how much a training step uses
- `emotion`: the paper's emotion head compared with PyTorch's
- `asr`: attention-CTC compared with PyTorch's
- `asr_torch`: attention-CTC in PyTorch, for that comparison
"""
