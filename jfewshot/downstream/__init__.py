"""Tests encoders beyond few-shot episodes: models ("heads") are trained on an encoder's frames, or together with the encoder.

What all heads share:

- `dataset`, `user_tables`: a dataset of named utterances; the user's own data as a CSV file
- `timit`, `timit_phones`: TIMIT's recordings and its phones, for the heads that use these
- `folds`: which utterances train, which choose checkpoints, and which test
- `left_out`: utterances that the user leaves out, and utterances that cannot be used
- `settings`: options of every experiment, and the names of its features
- `sources`: where frame features come from: raw FBANK, our encoders, random encoders, stores of any other upstream
- `cache`, `frames`: the frame features of all utterances, computed once and kept on disk
- `inputs`: what a head is trained on: the frames of a frozen encoder, or a filter bank's frames and an encoder to train too
- `scaling`, `batches`: frames are standardised, and utterances of similar length share a batch
- `fitting`: trains a model, chooses checkpoints on the development utterances, and averages them
- `records`: one record for each finished run, and which seeds have all folds
- `confusions`, `summaries`: scores with intervals over speakers; order of rows, differences from the controls
- `report`: what the reports share: refusals, the page, the tables on the console

The heads:

- `emotion`: `python -m jfewshot.downstream.emotion`
- `asr`: `python -m jfewshot.downstream.asr`
- `phones`: `python -m jfewshot.downstream.phones`

Training, checkpoints, resuming and logging are in `jfewshot.training`, which pretraining uses too.
"""
