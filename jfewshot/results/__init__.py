"""The result folder: records of cells, their packed predictions, and the drawn clips (docs/results.md).

- `keys`: the keys of cells and of sets of draws
- `packing`: packs labels and counts into few bytes
- `scores`: packs log-probabilities in half precision into few bytes
- `lines`: a record as a line of JSON, and back, with checks of every field that a reader uses
- `appending`: the two files to which one writing process appends
- `indexing`: finds the position of each record
- `single_files`: format version 1, which had two files for each cell
- `draws`: the files of drawn clips
- `folder`: the folder to which a run writes records, and in which it looks them up
- `reading`: reads a result folder for a report

The key of a record contains everything that can change a prediction, and nothing else. A record is one line, which is
written after the block of its predictions. If a run finds a complete line with a complete block, the cell is done. A
killed run loses at most the record that it was writing.
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
