"""Phones of frames, decided on an encoder: as near as one can come to the recognisers of the Speech SimCLR paper's Table 4.

- `datasets`: TIMIT with its own segmentation, DIRHA's sentences, the user's own
- `phone_sets`: 61 phones, 48 that are trained on, 39 that are scored
- `segments`, `times`: which phone a frame has
"""
