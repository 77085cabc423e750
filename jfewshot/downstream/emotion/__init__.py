"""Emotion recognition on an encoder's frames: the head of the Speech SimCLR paper's Table 1, and a light head.

- `config`: an experiment's settings
- `datasets`: IEMOCAP, CREMA-D, EmoDB, the user's own data
- `folds`: which utterances train, choose checkpoints and test
- `model`: the paper's head and the light head, on frozen frames or on an encoder that is trained too
- `batches`: padded batches of frames
- `training`: loss, training step and logits
- `trial`: one fold with one seed: train, choose checkpoints on the development utterances, predict the test fold once
- `experiment`: all folds and seeds of all features and controls; an interrupted experiment continues
- `summary`, `report`: tables, figures, one page
- `python -m jfewshot.downstream.emotion`
"""
