"""Compares several trainings by few-shot accuracy: `python -m jfewshot.simclr.study`.

- `plan`: the trainings of a study: profiles, the ablation of Table 4, or batch sizes and epochs as in Figure 2
- `encoders`: trains and exports each encoder that does not exist yet
- `accuracy`: extracts the test sets and evaluates the encoders; accuracy per episode
- `table`: differences with intervals over episodes and over seeds, as Markdown and JSON
"""
