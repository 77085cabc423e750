"""Benchmarks of pretraining, emotion recognition and speech recognition.

- `simclr_step`: a training step compared with PyTorch's and s3prl's
- `simclr_torch`: our encoder in PyTorch, for that comparison
- `simclr_loss`: NT-Xent by devices
- `simclr_signal`: filterbank and augmentations
- `simclr_projection`: how long the published trainings would take
- `simclr_hours`: the same of three machines, from the count of operations
- `simclr_input`: how much speech a core decodes, beside what devices take
- `emotion`: the paper's emotion head compared with PyTorch's
- `asr`: attention-CTC compared with PyTorch's
- `asr_torch`: attention-CTC in PyTorch, for that comparison
"""
