"""The pretraining run: the parts that `jfewshot.training`, which all runs share, does not have.

- `model`: the model that is trained
- `step`: the training step, from waveforms to updated parameters, over chunks and devices
- `schedules`: learning rate and optimiser
- `statistics`: mean and standard deviation of the features, computed before the first step
- `noises`: replaces the pieces of recorded noise at regular steps
- `checkpoints`: decides which checkpoints are the best
- `loop`: runs a pretraining
"""
