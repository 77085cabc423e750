"""Experiments that gave pages of the documentation their numbers.

- `auto_strength`: how good are strengths that each episode chooses?
- `auto_strength_checks`: its comparisons with refits, with RidgeClassifierCV, and its speed
- `expected_accuracy`: does the accuracy that a fitted head is expected to have come true?
- `calibration`: what do temperatures do to probabilities, and which score tells unknown classes apart?
- `active_labels`: do chosen clips beat random ones?
- `fusion`: which pairs of the sample encoders complement each other
- `gain_figures`: figures of what kernels and transductive heads gain and lose, from the committed measurements
- `kernels`: what does the Gaussian kernel gain, lose and cost?
- `long_recordings`: what does a head do on held-out clips with noise between them?
- `simclr_full_size`: pretraining at the paper's size, from published folders to an exported encoder
- `simclr_development`: labelled recordings to choose a recipe of Speech SimCLR by, of no sample task and no pretraining
- `simclr_samples`: readouts of these encoders on the sample tasks, with paired intervals
- `simclr_recipes`: recipes of Speech SimCLR compared by them; `simclr_readouts` has the readouts and their scores
- `simclr_speech`: a folder of speech to pretrain on, from Debian's packages of spoken prompts
- `simclr_views`: which of their views should be an encoder's default, on the development tasks
- `asr_speech`: real speech with known words
- `asr_study`: does pretraining help recognition at a small size?
- `learning_curves`: do extrapolated "labels per class" hold what their intervals promise?
- `mteb_ranking`: does mteb's ranking of encoders survive more experiments?
- `noise`: how far does accuracy fall when queries are noisy?
- `planted_faults`: are planted copies and planted wrong labels found by diagnostics of the embeddings?
- `transductive`: what do transductive classifiers gain, and what is left where classes are not balanced?
- `whitening`: what does whitening from unlabelled audio gain?
"""
