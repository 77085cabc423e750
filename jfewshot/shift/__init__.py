"""Domain shift: the same queries, with supports of the same speaker or site and of others: `python -m jfewshot.shift`.

- `options`: the command line
- `planning`: which domains can be compared, and the cells of the comparison
"""
