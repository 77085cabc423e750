"""Phones of frames, decided on an encoder: as near as one can come to the recognisers of the Speech SimCLR paper's Table 4.

- `config`: an experiment's settings, which are the options of `jfewshot phones`
- `datasets`: TIMIT with its own segmentation, DIRHA's sentences, the user's own
- `phone_sets`: 61 phones, 48 that are trained on, 39 that are scored
- `segments`, `times`: which phone a frame has
- `model`, `batches`, `training`: one linear layer or two on every frame, and an encoder that may learn too
- `trial`: one fold, one seed: train, choose on development, decide the test utterances once
- `experiment`: all folds, seeds and probes, the controls beside; resumable
- `summary`, `report`: frame accuracies with intervals over speakers and seeds; tables, figures, one page
- `python -m jfewshot.downstream.phones`
"""
