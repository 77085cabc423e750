"""Kinds of files that tests/test_fuzz.py damages: each class makes a sound file, damages it, and reads it.

folders.py   reads, writes and damages the files of a folder
stores.py    stores, arrays, statistics, and containers of other programs
results.py   result folders
texts.py     tables, annotations, phones, options, suites and contributions
encoders.py  encoders, heads, folders of a try, and recordings
"""
