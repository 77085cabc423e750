"""What all training runs share: pretraining, and the heads of emotion, speech and phone recognition.

- `config`: settings of the optimiser; compares the settings of a run with those of a folder
- `model`: turns a module into named arrays, and back
- `schedules`: learning rates and the optimiser
- `step`: makes one jitted update from a loss function
- `plan`: which items make up step n; `groups` for batches with a fixed number of speakers
- `loading`: makes batches ahead of the device
- `checkpoints`: saves, keeps, loads and averages checkpoints, on disk, or in memory for runs of seconds
- `metrics`: the numbers that a run writes and shows
- `devices`: several devices, several processes
- `loop`: runs the steps of a training (`run_steps`)

A task provides `loss(params, batch, key, fixed) -> (loss, metrics)`, batches as a function of the step's number, and a
function from parameters to validation numbers. A run that is killed at any point continues with exactly the same results.
"""
