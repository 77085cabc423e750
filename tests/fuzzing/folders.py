"""Read, write and damage the files of a folder."""

import hashlib
import json

from tests.mutations import damaged, damaged_json, damaged_npz


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def put(folder, files, before=None):
    """Write files, those alone that differ from what is there."""
    before = {} if before is None else before
    for name in before.keys() - files.keys():
        (folder / name).unlink()
    for name, content in files.items():
        if before.get(name) != content:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def damaged_weights(files, described_in, rng):
    """A folder of weights with either file damaged; in most inputs the other has the digest of damaged weights."""
    manifest = json.loads(files[described_in])
    if rng.random() < 0.4:
        weights = files["weights.npz"]
        weights = damaged(weights, rng) if rng.random() < 0.4 else damaged_npz(weights, rng)
        if rng.random() < 0.8:
            manifest["weights_sha256"] = sha256(weights)
        return files | {"weights.npz": weights, described_in: json.dumps(manifest).encode()}
    raw = rng.random() < 0.3
    changed = damaged(files[described_in], rng) if raw else damaged_json(manifest, rng)[0].encode()
    return files | {described_in: changed}
