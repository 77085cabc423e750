"""Experiments whose results the documentation reports.

- `auto_strength`: how good are strengths that each episode chooses?
- `auto_strength_checks`: chosen strengths compared with refits and with RidgeClassifierCV, and their speed
- `expected_accuracy`: is the expected accuracy that `jfewshot fit` reports correct on new clips?
- `calibration`: how do temperatures change probabilities, and which score separates known from unknown classes?
- `active_labels`: is labelling chosen clips better than labelling random clips?
- `fusion`: which pairs of the sample encoders complement each other
- `gain_figures`: figures of what kernels and transductive heads gain and lose, from the committed measurements
- `kernels`: what does the Gaussian kernel gain, lose and cost?
- `long_recordings`: how good are a head's labels on held-out clips with noise between them?
- `simclr_full_size`: pretraining at the paper's size, from published folders to an exported encoder
- `simclr_development`: tasks for choosing a recipe of Speech SimCLR, without recordings of the sample tasks or the pretraining
- `simclr_recipes`: compares recipes of Speech SimCLR on these tasks
- `simclr_readouts`: the readouts of a Speech SimCLR encoder, and their scores on these tasks
- `simclr_samples`: the readouts of Speech SimCLR encoders on the sample tasks, with paired intervals
- `simclr_views`: compares views of Speech SimCLR encoders as the default view, on these tasks
- `simclr_speech`: makes a folder of speech for pretraining, from Debian's packages of spoken prompts
- `asr_speech`: makes folders of real speech with known words, for `asr_study`
- `asr_study`: does pretraining help recognition at a small size?
- `learning_curves`: do the intervals of extrapolated "labels per class" hold the true number as often as they should?
- `mteb_ranking`: does mteb's ranking of encoders stay the same with more experiments?
- `noise`: how far does accuracy fall when queries are noisy?
- `planted_faults`: do the diagnostics of embeddings find planted copies and planted wrong labels?
- `transductive`: what do transductive classifiers gain with balanced and with unbalanced classes?
- `whitening`: what does whitening from unlabelled audio gain?
"""
