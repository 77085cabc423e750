"""Numbers that the pages print: compared with the files in benchmarks/measured, and measured again in short runs.

- `pages`: the tables of the README and of docs/
- `claims`: a printed number, a measured one, and whether they agree
- `comparing`: a table or a sentence, and the file that its numbers come from
- `printed`: which table and which sentence prints the numbers of which file
- `fill`: write the files' numbers into the pages, `python -m benchmarks.numbers.fill`
- `parts`: what is measured again, `make numbers`: the commands, and which numbers of which page or file they repeat
"""
