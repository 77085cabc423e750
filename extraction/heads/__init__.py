"""`jfewshot fit` and `jfewshot apply`: fit a classifier on the chosen encoder, and label recordings with it. Needs no
torch.

- `options`: the options of both commands
- `fit_command`, `apply_command`: the command lines
- `sources`: finds or computes labelled embeddings for a folder, a table, a store or a finished try, and chooses the classifier
- `fitting`: all steps of a fit
- `words`: sentences about a head
- `encoder`: loads the encoder of a head, and refuses any other encoder
- `recordings`: finds the recordings to label and cuts them into windows
- `scoring`: computes the scores of recordings; an interrupted run continues
- `applying`: all steps of an application
- `labels`: turns scores into labelled stretches
- `writing`: writes CSV, Raven selection tables and Audacity label tracks
"""
