"""What a GPU does, in one command of under ten minutes: `python -m benchmarks.gpu` (see __main__.py).

- `parts`: what is measured, part by part
- `one_part`: one part's rows, in a process of its own
- `evaluating`: the evaluator on one question
- `kernels`: the kernels alone, and the ways of answers to the host
- `whole_command`: `jfewshot run` from start to table, compared with a CPU's predictions
- `pretraining`: pretraining steps, compared with PyTorch's
- `pytorch`: the suite's two batched solvers in PyTorch, on the same draws
- `reference`: a CPU's predictions, compared with a GPU's
- `stores`: the embeddings that are measured
- `picture`: the rows as a table and as a figure
"""
