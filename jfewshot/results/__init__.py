"""The result folder: records of cells, their packed predictions, and the drawn clips (docs/results.md).

- `keys`: what names a cell or a set of draws
- `packing`: labels and counts as few bytes
- `scores`: log-probabilities in half precision as few bytes
- `lines`: a record as a line of JSON, and back, with checks of every field that a reader uses
- `appending`: the two files that one writing process appends to
- `indexing`: where each record lies
- `single_files`: format version 1, which had two files for each cell
- `draws`: the files of drawn clips
- `folder`: what a run writes to and looks records up in
- `reading`: what a report reads

Records are keyed by everything that can change a prediction and nothing else. A record is one line, written after the block of
its predictions: a run that finds a whole line with a whole block has nothing left to do for that cell, and a killed run loses at
most the record that it was writing.
"""

from jfewshot.results.folder import Keep, Records, ResultFolder
from jfewshot.results.keys import FORMAT, FORMAT_VERSION, key_of
from jfewshot.results.packing import packed_bytes
from jfewshot.results.reading import Results, read_results
from jfewshot.results.scores import QueryScores

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "Keep",
    "QueryScores",
    "Records",
    "ResultFolder",
    "Results",
    "key_of",
    "packed_bytes",
    "read_results",
]
