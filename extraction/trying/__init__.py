"""`jfewshot try FOLDER`: from a folder of recordings to an answer. Needs no torch.

- `options`: the options of the command
- `command`: the command line
- `trying`: all steps in order, and what they give to Python
- `finding`: which files are clips, of which class and group
- `examining`: what each file is: duration, format, level, fingerprint
- `copies`: recordings that are there twice
- `findings`: the state of the data in words and tables
- `groups`: groups that file names seem to tell
- `encoders`: which encoders are installed and need no download
- `evaluating`: shots and queries that the classes allow, and the evaluation
- `suspects`: clips that look mislabelled
- `page`: sections of the report
- `recommended`: the answer in a file, for `jfewshot fit`
"""
