"""`jfewshot try FOLDER`: find out which encoder suits the recordings of a folder. Needs no torch.

- `options`: the options of the command
- `command`: the command line
- `trying`: all steps in order, and the same as a function of Python
- `finding`: finds the clips, their classes and their groups
- `examining`: examines each file: duration, format, level, fingerprint
- `copies`: finds recordings that exist twice
- `findings`: the state of the data in words and tables
- `groups`: finds groups in file names
- `encoders`: loads the encoders that are installed and need no download
- `evaluating`: chooses numbers of shots and queries that the classes allow, and evaluates
- `suspects`: finds clips that look mislabelled
- `page`: sections of the report
- `recommended`: writes the recommendation to a file, which `jfewshot fit` reads
"""
