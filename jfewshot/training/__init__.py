"""What every training run shares: pretraining, emotion recognition, speech recognition.

- `config`: the optimiser's settings; comparing a run's settings with those of a folder
- `model`: a module as named arrays, and back
- `schedules`: learning rates and the optimiser
- `step`: one jitted update from a loss function
- `plan`: which items make up step n; `groups`, where every batch holds exactly so many groups
- `loading`: batches ahead of the device
- `checkpoints`: saving, retention, resuming, averaging; in memory for runs that take seconds
- `metrics`: what is written and shown
- `devices`: several devices, several processes
- `loop`: all of it together; `run_steps`

A task brings `loss(params, batch, key, fixed) -> (loss, metrics)`, batches as a function of the step's number, and a
function from parameters to validation numbers. Whatever it does, a run can be killed anywhere and continues exactly.
"""
