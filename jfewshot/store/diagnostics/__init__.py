"""What the geometry of an embedding space says: how many directions it uses, how its neighbours lie, which clips to listen to.

Everything is computed from one embedding for each clip, by NumPy alone, and in blocks: no array has more than a few hundred
rows of length n, the number of clips (docs/diagnostics.md).

  clip_embeddings.py  one embedding for each clip, and the clips that a large store is represented by
  spectrum.py         principal directions, effective rank, mean cosine
  neighbours.py       nearest neighbours in blocks, and hubness
  alignment.py        do classes lie together: silhouette and kernel-target alignment
  similarity.py       are two encoders' spaces alike: linear CKA
  near_copies.py      clips that are alike beyond chance, across classes or groups
  wrong_labels.py     clips that all good encoders give to one other class
  diagnosing.py       all of it for some stores
  describing.py       the same in words
"""
