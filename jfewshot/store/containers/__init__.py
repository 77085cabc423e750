"""What other programs keep embeddings in, read and written.

kinds.py          which kind of container a file or a folder is
windows.py        windows of recordings, their labels and embeddings, as databases hold them
taking.py         which windows become clips, and the store that they make
annotating.py     labels of windows from files of annotations
recording_names.py names of recordings that are the same on every machine
databases.py      a store of a database: tables, vectors, labels
hoplite.py        the tables of a Hoplite database, of both schemas
hoplite_index.py  its vectors, in an index of USearch
"""
