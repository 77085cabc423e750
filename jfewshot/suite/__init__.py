"""Suites: frozen lists of few-shot tasks, one score for an encoder, and a leaderboard that anybody can host.

- `definition`: what a suite is, read from its file
- `freezing`: how the suites that come with the package were put together
- `embeddings`: which stores are there and which are missing
- `extracting`: missing stores, through the commands `extract` and `estimate`
- `planning`: tasks to cells
- `drawing`: the digest of a task's episodes
- `estimating`: time and disk of an evaluation
- `running`: from encoders to contributions
- `histogram`: right answers per episode, and what they say
- `scores`: scores between anchors, ranks, intervals, datasets left out
- `contribution`: the file of one encoder's results
- `references`: contributions that come with the package
- `board`: contributions side by side
- `validating`: is a contribution what it says?
- `filling`: digests that two contributions agree on
- `at_hand`: what stores on this machine say of a contribution
- `checking`: contributed files, with what lies around them
- `leaderboard`: the folder of a leaderboard
- `page`: its static page
- `exporting`: contributions in other people's formats
- `recipe`: its README and its continuous integration
- `places`: the files of a run's or a leaderboard's folder
- `listing`: suites in words
- `printing`: what a run prints
- `options`: the commands' options
"""
