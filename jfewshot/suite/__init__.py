"""Suites: frozen lists of few-shot tasks, one score for an encoder, and a leaderboard that anybody can host.

- `definition`: what a suite is, read from its file
- `freezing`: how the suites that come with the package were put together
- `embeddings`: finds the stores of a suite, and which are missing
- `extracting`: extracts missing stores with the commands `extract` and `estimate`
- `planning`: makes cells from tasks
- `drawing`: the digest of a task's episodes
- `estimating`: time and disk of an evaluation
- `running`: from encoders to contributions
- `histogram`: histograms of correct answers per episode, and accuracy from them
- `scores`: scores between anchors, ranks, intervals, datasets left out
- `contribution`: the file of one encoder's results
- `references`: contributions that come with the package
- `board`: compares contributions in tables
- `validating`: checks a contribution
- `filling`: digests that two contributions agree on
- `at_hand`: checks a contribution with stores on this machine
- `checking`: checks contributed files with the help of their leaderboard
- `leaderboard`: the folder of a leaderboard
- `page`: the static page of a leaderboard
- `exporting`: writes contributions in other formats
- `recipe`: the README and the continuous integration of a leaderboard
- `places`: the files of a run's or a leaderboard's folder
- `listing`: describes suites as text
- `printing`: what a run prints
- `options`: the commands' options
"""
