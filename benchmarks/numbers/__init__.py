"""Compares the numbers on the pages with the files in benchmarks/measured, and measures some of them again in short runs.

- `pages`: reads the tables of the README and of docs/
- `claims`: a printed number, a measured number, and whether they agree
- `comparing`: a table or a sentence, and the file of its numbers
- `printed`: lists which table or sentence prints the numbers of which file
- `fill`: writes the numbers of the files into the pages, `python -m benchmarks.numbers.fill`
- `parts`: the commands of `make numbers`, which measure again, and the printed numbers that they repeat
"""
