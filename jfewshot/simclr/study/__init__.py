"""Trainings side by side, judged by few-shot accuracy: `python -m jfewshot.simclr.study`.

- `plan`: which trainings a study consists of: profiles, the ablation of Table 4, batch size x epochs of Figure 2
- `encoders`: train and export each of them, unless it is there
- `accuracy`: extract the test sets, evaluate, accuracy per episode
- `table`: differences with intervals over episodes and over seeds, as Markdown and JSON
"""
