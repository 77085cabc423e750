"""The training run.

- `model`: what is trained, as named arrays
- `step`: one jitted step, from waveform to updated parameters, over chunks and devices
- `schedules`: learning rates and the optimiser
- `statistics`: the features' mean and deviation before the first step
- `checkpoints`: saving, retention, resuming, averaging
- `metrics`: what is written and shown
- `loop`: all of it together
"""
