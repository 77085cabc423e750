"""The benchmark suite: jfewshot and its competitors on the same problem.

- `rows`: what is measured
- `problem`: one question's episodes, as every competitor gets them
- `ours`: our side of a row
- `competitors`: the others, one file each
- `one_row`: one row, in a process of its own
- `counting`: operations of one episode
- `limits`: what the machine can do at best
- `table`: the rows as Markdown
- `figure`: the rows as a picture
"""
