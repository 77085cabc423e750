"""Which tables and sentences of the pages print the numbers of which file of benchmarks/measured, a module for each subject.

- `classifiers`: strengths that each episode chooses, and kernels
- `gains`: transductive heads and whitening
- `samples`: noise, chosen labels, fused encoders, planted faults, curves over shots
- `scores`: probabilities and scores, expected accuracies, long recordings, mteb's protocol
- `speeds`: speeds, sizes and times of evaluation
- `training`: studies of pretrained encoders, and speeds of training and extraction
- `names`: the pages' names of encoders, datasets and classifiers, as the files have them
"""

from benchmarks.numbers.printed import classifiers, gains, samples, scores, speeds, training

_SUBJECTS = (classifiers, gains, samples, scores, speeds, training)
TABLES = [table for subject in _SUBJECTS for table in subject.TABLES]
SENTENCES = [sentence for subject in _SUBJECTS for sentence in subject.SENTENCES]
