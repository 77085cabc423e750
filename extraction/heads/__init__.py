"""`jfewshot fit` and `jfewshot apply`: fit a classifier on the chosen encoder, and label recordings with it. Needs no
torch.

- `options`: the options of both commands
- `fit_command`, `apply_command`: the command lines
- `sources`: from a folder, a table, a store or a finished try to labelled embeddings, and which classifier to fit
- `fitting`: all steps of a fit
- `words`: what is said about a head
- `encoder`: the encoder that a head was fitted with, and no other
- `recordings`: what is to be labelled, cut into windows
- `scoring`: from recordings to scores, resumable
- `applying`: all steps of an application
- `labels`: from scores to labelled stretches
- `writing`: CSV, Raven selection tables, Audacity label tracks
"""
