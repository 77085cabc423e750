"""Measures speed and checks correctness on a GPU, in less than ten minutes: `python -m benchmarks.gpu` (see __main__.py).

- `parts`: the parts of the benchmark, in the order in which they are measured
- `one_part`: measures one part in its own process
- `evaluating`: measures the evaluator on one question
- `kernels`: measures the GPU kernels alone, and copies of predictions to the host
- `whole_command`: measures `jfewshot run` from start to table, and compares its predictions with a CPU's
- `pretraining`: measures pretraining steps, also PyTorch's
- `pytorch`: measures the suite's two batched PyTorch solvers on the same draws
- `reference`: writes a CPU's predictions, and compares a GPU's predictions with them
- `stores`: the embeddings of the benchmark
- `picture`: shows the rows as a table and as a figure
"""
