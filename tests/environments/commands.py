"""For each small extra, the commands that the documentation names for it, on the smallest input that each accepts."""

import base64
import dataclasses
import math
import struct
import wave
from pathlib import Path

# waves (batch, samples) -> frames (batch, samples / 160, 160): one Reshape, written with onnx 1.23.
_RESHAPE = (
    "CAg6iwEKHgoEd2F2ZQoFc2hhcGUSBmZyYW1lcyIHUmVzaGFwZRIBZyoaCAMQBzoNAP///////////wGgAUIFc2hhcGVaIgoEd2F2ZRIaChgIARIUCgcS"
    "BWJhdGNoCgkSB3NhbXBsZXNiJgoGZnJhbWVzEhwKGggBEhYKBxIFYmF0Y2gKBhIEdGltZQoDCKABQgQKABAR"
)
_TRAIN = (
    "-m jfewshot.simclr.train --data.source speech --out run --steps 2 --batch 4 --devices 1 --data.crop-s 0.4 --data.buckets 1 "
    "--encoder.n-layers 1 --encoder.d-model 16 --encoder.d-ff 32 --encoder.n-heads 2 --encoder.prenet conv1d "
    "--encoder.prenet-channels 8 --projection-hidden 16 --projection-out 8 --optimiser.warmup-steps 1"
)
_READ_PARQUET = """
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from extraction.datasets import load_dataset
files = sorted(str(p.relative_to("speech")) for p in Path("speech").rglob("*.wav"))
pq.write_table(pa.table({"path": files, "label": [p.split("/")[0] for p in files]}), "clips.parquet")
assert len(load_dataset("table:clips.parquet").recordings(Path("speech"))) == len(files)
"""
_READ_ZARR = """
import numpy as np, zarr
from jfewshot.store.importing import import_store
group = zarr.open_group("clips.zarr", mode="w")
group.create_array("X", data=np.eye(4, dtype="float32"))
group.create_array("y", data=np.array([0, 1, 0, 1]))
assert len(import_store("zarr_store", "clips.zarr", dataset="d", upstream="u", replace=True).clips) == 4
"""
_READ_HOPLITE = """
import zipfile
from pathlib import Path
import extraction
from jfewshot.store.importing import import_store
with zipfile.ZipFile(Path(extraction.__file__).parents[1] / "tests/store/containers/hoplite_one.zip") as archive:
    archive.extractall("hoplite")
assert len(import_store("hoplite_store", "hoplite/database", replace=True).clips) == 13
"""
_READ_TIERS = """
from pathlib import Path
from praatio import textgrid
from pympi import Eaf
from extraction.datasets import load_dataset
Path("grids").mkdir(exist_ok=True)
grid = textgrid.Textgrid()
grid.addTier(textgrid.IntervalTier("calls", [(0.25, 0.75, "low")], 0, 1))
grid.save("grids/0.TextGrid", "short_textgrid", includeBlankSpaces=True)
eaf = Eaf()
eaf.add_annotation("default", 250, 750, "low")
eaf.to_file("grids/0.eaf")
for kind in ("textgrid", "elan"):
    (clip,) = load_dataset(f"{kind}:grids").recordings(Path("speech/low"))
    assert (clip.clip_id, clip.label) == ("0.wav:0.25-0.75", "low"), clip
"""
_TINY_HUBERT = """
import transformers as t
config = t.HubertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[16] * 7,
                        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2)
t.HubertModel(config).save_pretrained("hubert")
t.Wav2Vec2FeatureExtractor().save_pretrained("hubert")
"""


@dataclasses.dataclass(frozen=True)
class Command:
    """What follows `python`, and how it has to end.

    Attributes:
      arguments: a line, split at spaces, or `-c` and a program.
      status: the exit status.
      says: what standard output and standard error hold together.
    """

    arguments: str | tuple[str, str]
    status: int = 0
    says: str = ""

    def __str__(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else "-c " + self.arguments[1].strip().splitlines()[0]


def _extract(upstream: str, out: str) -> Command:
    return Command(
        f"-m extraction.run --datasets folder:speech --root speech --upstreams {upstream} --out {out} --workers 0"
    )


# In the order in which they are tried. "" is the core.
COMMANDS: dict[str, list[Command]] = {
    "": [
        Command("-m jfewshot.run --episodes 20 --out results", says="Whisper tiny.en"),
        Command("-m jfewshot.report results --out report"),
        Command("-m extraction.upstreams list", says="hubert_base"),
        Command(_TRAIN, status=2, says="pip install 'jfewshot[pretrain]'"),
        Command("-m extraction.upstreams check fbank", status=1, says="pip install 'jfewshot[audio]'"),
        Command("-m jfewshot try speech", status=2, says="pip install 'jfewshot[audio]'"),
    ],
    "report": [Command("-m jfewshot.report results --out parquet", says="")],
    "audio": [
        Command("-m jfewshot try speech --quick --episodes 20 --workers 0", says="Speech SimCLR, small"),
        Command("-m jfewshot fit speech --from try-speech --out head --workers 0", says="Accuracy to expect"),
        Command(
            "-m jfewshot apply head speech --formats csv raven audacity --workers 0", says="8 windows of 8 recordings"
        ),
    ],
    "pretrain": [
        Command(_TRAIN),
        Command("-m jfewshot.simclr.export run --out encoder --name tiny"),
        _extract("simclr:encoder", "stores"),
        Command("-m jfewshot.run --stores stores --ways 2 --n-query 1 --episodes 20 --out results2", says="tiny"),
    ],
    "onnx": [_extract("onnx:reshape.onnx", "stores_onnx")],
    "arrow": [Command(("-c", _READ_PARQUET))],
    "databases": [Command(("-c", _READ_HOPLITE))],
    "zarr": [Command(("-c", _READ_ZARR))],
    "annotations": [Command(("-c", _READ_TIERS))],
    "asr": [
        Command(
            (
                "-c",
                "from jfewshot.downstream.asr.scores import count_errors\n"
                "import jfewshot.downstream.asr.experiment, sentencepiece\n"
                "assert count_errors('WER', ['a b'], ['a c']).rate == 0.5",
            )
        ),
    ],
}
# These need torch, so they are tried only where torch is installed beforehand (--torch).
WITH_TORCH: dict[str, list[Command]] = {
    "huggingface": [Command(("-c", _TINY_HUBERT)), _extract("hf:hubert", "stores_hf")],
    "extraction": [_extract("fbank,mfcc,s3prl:fbank", "stores_extraction")],
}


def write_inputs(folder: Path) -> None:
    """Two classes of four clips of a second: tones, as 16-bit WAV; and a network as ONNX."""
    for label, pitch in (("low", 220.0), ("high", 880.0)):
        (folder / "speech" / label).mkdir(parents=True)
        for clip in range(4):
            tone = (round(9000 * math.sin(2 * math.pi * (pitch + 10 * clip) * n / 16_000)) for n in range(16_000))
            with wave.open(str(folder / "speech" / label / f"{clip}.wav"), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
    (folder / "reshape.onnx").write_bytes(base64.b64decode(_RESHAPE))
