"""Diagnose embedding spaces: directions in use, neighbours, near-duplicate clips, and suspect labels.

Everything is computed from one embedding for each clip, by NumPy alone, and in blocks: no array has more than a few hundred
rows of length n, the number of clips (docs/diagnostics.md).

  clip_embeddings.py  one embedding for each clip, and the sample of clips from a large store
  spectrum.py         principal directions, effective rank, mean cosine
  neighbours.py       nearest neighbours in blocks, and hubness
  alignment.py        how well classes are separated: silhouette and kernel-target alignment
  similarity.py       how similar two encoders' spaces are: linear CKA
  near_copies.py      near-duplicate clips across classes or groups
  wrong_labels.py     clips that all good encoders assign to the same other class
  diagnosing.py       all diagnostics for some stores
  describing.py       the diagnostics as text
"""
