"""Emotion recognition on an encoder's frames: the Speech SimCLR paper's Table 1, and a light head beside it.

- `config`: an experiment's settings
- `datasets`: IEMOCAP, CREMA-D, EmoDB, the user's own
- `folds`: who trains, who chooses, who is judged by
- `model`: the paper's head, the light one, and either over a fine-tuned encoder
- `batches`: padded batches of frames
- `training`: loss, step, logits
- `trial`: one fold, one seed: train, choose on development, predict the test fold once
- `experiment`: all folds and seeds, the controls beside; resumable
- `summary`, `report`: tables, figures, one page
- `python -m jfewshot.downstream.emotion`
"""
