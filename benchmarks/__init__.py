"""Benchmarks: never timed tests, always commands whose output the documentation quotes.

- `run`: the benchmark suite, `python -m benchmarks.run`
- `suite`: its rooms: ours and the competitors on the same problem
- `end_to_end`: the paper's whole table, from stored embeddings
- `paper_grid`: the paper's grid at its true sizes, as a folder of stores
- `scaling`: more devices
- `extraction`: extraction compared with one clip after the other
- `compiled_costs`: operations, bytes, iterations and traces; nothing is timed
- `training`: pretraining, emotion recognition, speech recognition
- `tools`: what every benchmark needs
"""
