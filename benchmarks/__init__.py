"""Benchmarks: the commands whose output the documentation quotes. No test measures time.

- `run`: the benchmark suite, `python -m benchmarks.run`
- `suite`: the modules of the suite: jfewshot and the competitors on the same problem
- `end_to_end`: time of computing the paper's whole table from stored embeddings
- `arrays`: time of a call of `jfewshot.evaluate_arrays` in a training loop, and of the same evaluation through a store
- `mteb_protocol`: time of mteb's experiments in mteb and with `--protocol mteb`
- `paper_grid`: the paper's grid at its true sizes, as a folder of stores
- `grid`: grids of many small cells: time of running them, of finding them complete, and of reporting them
- `real_size`: stores of hundreds of thousands of segments, compared with the speed of the memory
- `scaling`: speed with more devices
- `extraction`: extraction in batches compared with extraction of one clip after the other
- `importing`: memory and time of an import of a large Hoplite database
- `compiled_costs`: counts of operations, bytes, iterations and traces; it measures no time
- `numbers`: measures the numbers of the pages again, in short runs
- `gpu`: speed and correctness on a GPU, `python -m benchmarks.gpu`
- `fusions`: time of fused encoders, with fixed and with chosen weights, compared with a single encoder
- `transductive`: transductive heads compared with batched PyTorch versions, and heads with kernels compared with plain ones
- `training`: speed of pretraining, emotion recognition and speech recognition
- `tools`: functions that several benchmarks share
"""

from jfewshot import _moved

_moved.keep_old_names(
    {
        "benchmarks.asr": "benchmarks.training.asr",
        "benchmarks.emotion": "benchmarks.training.emotion",
        "benchmarks.simclr_loss": "benchmarks.training.simclr_loss",
        "benchmarks.simclr_projection": "benchmarks.training.simclr_projection",
        "benchmarks.simclr_signal": "benchmarks.training.simclr_signal",
        "benchmarks.simclr_step": "benchmarks.training.simclr_step",
        "benchmarks.asr_speech": "studies.asr_speech",
        "benchmarks.asr_study": "studies.asr_study",
        "benchmarks.simclr_speech": "studies.simclr_speech",
    }
)
