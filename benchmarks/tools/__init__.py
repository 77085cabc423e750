"""What every benchmark needs.

- `measuring`: in turns, several times, medians and ratios
- `child`: something in a process of its own: its time, memory and last line
- `memory`: peak memory
- `samples`: the 32 sample stores, opened
- `mteb_task`: mteb's own classification task on stored embeddings
- `embeddings`: synthetic embeddings that are as hard as encoders' are
"""
