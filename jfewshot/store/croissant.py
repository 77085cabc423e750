"""Describe a store in Croissant, MLCommons' format for metadata of datasets, as JSON-LD (version 1.0 of the format)."""

import csv
import json
import os
from pathlib import Path
from typing import Any

from jfewshot.files import sha256_of_file
from jfewshot.store.manifest import MANIFEST
from jfewshot.store.reading import CLIPS, Store

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_WHOLE_NUMBERS = ("first_segment", "n_segments")
_MEANINGS = {
    "clip_id": "name of the recording",
    "class": "label",
    "group": "speaker, site or recording; empty for none",
    "split": "split of the dataset; empty for none",
    "first_segment": "first row of the clip's embeddings",
    "n_segments": "how many rows of embeddings the clip has",
}
_CR = (
    "citeAs column conformsTo:dct data dataType examples extract equivalentProperty field fileProperty fileObject fileSet format "
    "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator "
    "source subField transform"
)


def croissant(store: Store, beside: Path) -> dict[str, Any]:
    """Describe a store's files and its table of clips.

    Args:
      store: the store.
      beside: folder of the description, to which the paths of files are relative.

    Returns:
      JSON-LD.
    """
    dataset, upstream = store.manifest["dataset"], store.manifest["upstream"]
    name = f"{store.dataset}, embeddings of {store.upstream}"
    facts = {
        "license": dataset.get("licence"),
        "url": dataset.get("source"),
        "citeAs": dataset.get("citation"),
        "version": "1.0.0",
    }
    description = (
        f"Embeddings of {upstream.get('title') or store.upstream} for {len(store.clips):,} labelled clips of "
        f"{dataset.get('title') or store.dataset}: a store of jfewshot, format version {store.manifest['format_version']}, "
        f"digest {store.digest}."
    )
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": CONFORMS_TO,
        **{what: value for what, value in facts.items() if value},
        "distribution": _files(store, beside),
        "recordSet": [_clips(store)],
    }


def croissant_text(store: Store, beside: Path) -> str:
    """`croissant` as text.

    Args:
      store: the store.
      beside: folder of the description.

    Returns:
      JSON.
    """
    return json.dumps(croissant(store, beside), indent=2, ensure_ascii=False) + "\n"


def _files(store: Store, beside: Path) -> list[dict[str, Any]]:
    found = [
        (
            MANIFEST,
            "application/json",
            "what the store holds and how it was made",
            sha256_of_file(store.path / MANIFEST),
        ),
        (
            CLIPS,
            "text/csv",
            "the clips: labels, groups, splits, and which rows are theirs",
            store.manifest["clips_sha256"],
        ),
    ]
    for view in store.views:
        shape, dtype = store.view(view).shape, store.view(view).dtype
        what = (
            f"embeddings, {dtype} of shape {shape[0]} x {shape[1]} in NumPy's format; the rows of a clip are in {CLIPS}"
        )
        found.append((f"{view}.npy", "application/octet-stream", what, store.view_digest(view)))
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "description": description,
            "contentUrl": Path(os.path.relpath(store.path / name, beside)).as_posix(),
            "contentSize": f"{(store.path / name).stat().st_size} B",
            "encodingFormat": encoding,
            "sha256": digest,
        }
        for name, encoding, description, digest in found
    ]


def _clips(store: Store) -> dict[str, Any]:
    with open(store.path / CLIPS, encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    return {
        "@type": "cr:RecordSet",
        "@id": "clips",
        "name": "clips",
        "description": "One record for each clip.",
        "key": {"@id": "clips/clip_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"clips/{column}",
                "name": column,
                "description": _MEANINGS.get(column, "a further column"),
                "dataType": "sc:Integer" if column in _WHOLE_NUMBERS else "sc:Text",
                "source": {"fileObject": {"@id": CLIPS}, "extract": {"column": column}},
            }
            for column in columns
        ],
    }


def _context() -> dict[str, Any]:
    """The context that version 1.0 of the format prescribes."""
    terms: dict[str, Any] = {}
    for term in _CR.split():
        name, _, prefix = term.partition(":")
        terms[name] = f"{prefix or 'cr'}:{name}"
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        **terms,
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
    }
