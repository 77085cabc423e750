"""Functions that several benchmarks share.

- `measuring`: measures several things in turns, with medians and ratios, and writes results
- `child`: runs a command in a separate process, and measures its time and memory
- `memory`: peak memory of a process
- `samples`: opens the 32 sample stores
- `mteb_task`: mteb's own classification task on stored embeddings
- `embeddings`: synthetic embeddings that are as difficult as those of encoders
"""
