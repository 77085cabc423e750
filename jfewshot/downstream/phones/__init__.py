"""Classifies the phone of each frame of an encoder. This stands for the recognisers of the Speech SimCLR paper's Table 4, whose
frame classifiers need alignments by Kaldi.

- `config`: an experiment's settings, which are the options of `jfewshot phones`
- `datasets`: TIMIT with its own segmentation, DIRHA's sentences, the user's own data
- `phone_sets`: 61 phones, of which 48 classes are trained on and 39 are scored
- `segments`, `times`: which phone a frame has
- `model`, `batches`, `training`: one or two linear layers on every frame, of frozen features or of an encoder that is trained too
- `trial`: one fold with one seed: train, choose checkpoints on the development utterances, classify the test utterances once
- `experiment`: all folds, seeds and probes of all features and controls; an interrupted experiment continues
- `summary`, `report`: frame accuracies with intervals over speakers and seeds; tables, figures, one page
- `python -m jfewshot.downstream.phones`
"""
