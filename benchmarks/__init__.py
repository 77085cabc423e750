"""Benchmarks: never timed tests, always commands whose output the documentation quotes.

- `run`: the benchmark suite, `python -m benchmarks.run`
- `suite`: its rooms: ours and the competitors on the same problem
- `end_to_end`: the paper's whole table, from stored embeddings
- `arrays`: a call of `jfewshot.evaluate_arrays` in a training loop, and the same through a store
- `mteb_protocol`: mteb's experiments, in mteb and with `--protocol mteb`
- `paper_grid`: the paper's grid at its true sizes, as a folder of stores
- `grid`: grids of many small cells: to run, to find again, to report
- `real_size`: stores of hundreds of thousands of segments, against the speed of the memory
- `scaling`: more devices
- `extraction`: extraction compared with one clip after the other
- `importing`: memory and time of an import of a large Hoplite database
- `compiled_costs`: operations, bytes, iterations and traces; nothing is timed
- `numbers`: measures the numbers of the pages again, in short runs
- `gpu`: what a GPU does, `python -m benchmarks.gpu`
- `fusions`: fusions with fixed and with chosen weights against the plain head
- `transductive`: transductive heads against batched PyTorch versions, and heads with kernels against plain ones
- `training`: pretraining, emotion recognition, speech recognition
- `tools`: what every benchmark needs
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
