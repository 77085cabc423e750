"""Experiments that gave pages of the documentation their numbers.

- `simclr_speech`: a folder of speech to pretrain on, from Debian's packages of spoken prompts
- `asr_speech`: real speech with known words
- `asr_study`: does pretraining help recognition at a small size?
"""
