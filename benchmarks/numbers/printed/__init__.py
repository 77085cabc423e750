"""Lists which tables and sentences of the pages print the numbers of which file of benchmarks/measured, by subject.

- `classifiers`: strengths that each episode chooses, and kernels
- `extraction`: speeds of extraction
- `gains`: transductive heads and whitening
- `samples`: noise, chosen labels, fused encoders, planted faults, curves over shots
- `scores`: probabilities and scores, expected accuracies, long recordings, mteb's protocol
- `speeds`: speeds, sizes and times of evaluation
- `training`: studies of pretrained encoders, and speeds of training
- `names`: converts the pages' names of encoders, datasets and classifiers to the names in the files
"""

from benchmarks.numbers.printed import classifiers, extraction, gains, samples, scores, speeds, training

_SUBJECTS = (classifiers, extraction, gains, samples, scores, speeds, training)
TABLES = [table for subject in _SUBJECTS for table in subject.TABLES]
SENTENCES = [sentence for subject in _SUBJECTS for sentence in subject.SENTENCES]
