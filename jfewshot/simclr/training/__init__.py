"""The training run: what pretraining adds to `jfewshot.training`, which holds what every run shares.

- `model`: what is trained
- `step`: loss and gradient, from waveform to updated parameters, over chunks and devices
- `schedules`: learning rate and optimiser
- `statistics`: the features' mean and deviation before the first step
- `noises`: other pieces of recorded noise every so many steps
- `checkpoints`: which of them are the best
- `loop`: all of it together
"""
