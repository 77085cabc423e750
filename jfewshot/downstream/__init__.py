"""What encoders are judged by beyond few-shot episodes: models trained on their frames.

- `frames`: ragged frame features of a set of utterances
- `sources`: where they come from: raw FBANK, our encoders, random encoders, stores of any other upstream
- `cache`: those frames on disk, computed once
- `settings`: choices of every experiment, and the names of its features
- `folds`: who trains, who chooses, who is judged by
- `fitting`: train, choose by development, average
- `records`: one per finished run, and which seeds have all folds
- `report`: what the reports share: refusals, the page, the tables on the console
- `emotion`: `python -m jfewshot.downstream.emotion`
- `asr`: `python -m jfewshot.downstream.asr`
- `phones`: `python -m jfewshot.downstream.phones`

Training, checkpoints, resuming and logging are `jfewshot.training`, as in pretraining.
"""
