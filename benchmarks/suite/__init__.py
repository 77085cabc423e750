"""The benchmark suite: jfewshot and its competitors on the same problem.

- `rows`: the questions and the rows of the table
- `problem`: the episodes of a question, the same for all competitors
- `ours`: jfewshot's side of a row
- `competitors`: the other libraries, one file for each
- `one_row`: measures one row in its own process
- `counting`: counts the operations of one episode
- `limits`: measures the machine's highest rates
- `table`: the rows as Markdown
- `figure`: the rows as a picture
"""
