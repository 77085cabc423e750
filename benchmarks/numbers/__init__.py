"""Measure the numbers of the pages again in short runs, and compare them with the pages: `make numbers`.

- `claims`: a printed number, a measured one, and whether they agree
- `pages`: the tables of the README and of docs/
- `parts`: what is measured: the commands, and which numbers of which page or file they repeat
"""
