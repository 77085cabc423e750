"""Settings of the augmentations that make a view of an utterance: strength and probability of each."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from jfewshot.errors import UserError


@dataclass(frozen=True)
class AlterationConfig:
    """Settings of TERA's alteration. The defaults are those of Speech SimCLR; TERA itself has 7 frames and 16 channels."""

    time: bool = True
    """Alter segments of frames."""
    channel: bool = True
    """Set a run of neighbouring channels to zero."""
    magnitude: bool = False
    """Sometimes add noise to every element. This is TERA's third alteration, which Speech SimCLR does not use."""
    time_share: float = 0.15
    """Share of the frames of an utterance that is altered, if no two altered segments overlap (P_T in the paper)."""
    time_width: int = 4
    """Frames of each altered segment (W_T in the paper)."""
    channel_width: int = 4
    """Highest number of channels that are set to zero (W_C in the paper)."""
    zero_share: float = 0.8
    """Share of the altered segments that are set to zero."""
    replace_share: float = 0.1
    """Share of the altered segments that are replaced by another segment of the same utterance. Those that are neither set to
    zero nor replaced stay as they are, and must be reconstructed as well."""
    dice: Literal["segment", "utterance"] = "segment"
    """How often the choice between zero, replace and leave is drawn: for each segment, as the paper reads, or once for each
    utterance, as s3prl does."""
    magnitude_share: float = 0.15
    """How often noise is added to every element (P_N in the paper)."""
    magnitude_std: float = 0.2
    """Standard deviation of the noise that is added to every element, in units of the normalised features. The value is
    s3prl's; TERA's paper calls 0.2 the variance."""


@dataclass(frozen=True)
class AugmentationConfig:
    """Settings of the augmentations. The strengths are those of the paper, which does not give probabilities."""

    speed: bool = True
    """Play the utterance faster or slower."""
    slowest: float = 0.8
    """Lowest factor of the speed."""
    fastest: float = 1.2
    """Highest factor of the speed."""
    speed_probability: float = 1.0
    """How often the speed is changed, from 0 to 1. The factor may be close to 1, so 1 still includes nearly unchanged
    utterances."""
    pitch: bool = True
    """Shift the pitch of the utterance."""
    lowest_cents: float = -300.0
    """Lowest pitch shift, in cents (1,200 cents are an octave)."""
    highest_cents: float = 300.0
    """Highest pitch shift, in cents (1,200 cents are an octave)."""
    pitch_probability: float = 1.0
    """How often the pitch is shifted, from 0 to 1."""
    reverb: bool = True
    """Add the reverberation of a room: SoX's reverb with reverberance 50, damping 50 and a room scale drawn from 0 to 100."""
    reverb_probability: float = 0.5
    """How often reverberation is added, from 0 to 1. At 1 the encoder never gets speech without reverberation."""
    reverb_continuous: bool = False
    """Draw room scales between whole percents too. This does without precomputed impulse responses and is slower."""
    rooms_folder: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder of recorded or simulated room responses, such as OpenSLR 28's RIRS_NOISES, whose lists say which of its files are
    responses. Each response is equally likely. Without this option, SoX's reverb makes the rooms."""
    rooms: int = 512
    """Highest number of responses of --augmentation.rooms-folder that are used, drawn by the seed: 512 of 2 s need 66 MB."""
    noise: bool = True
    """Add noise."""
    noise_folder: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder of noise recordings, searched at any depth. Each second of all recordings is equally likely, so most noise from
    the whole of MUSAN is speech and music. Without this option, white, pink and brown noise is generated."""
    noise_pieces: int = 256
    """Highest number of pieces of recorded noise that are kept on the device at a time: 256 pieces of 15 s need 246 MB."""
    noise_every: int = 100
    """Steps after which other pieces of recorded noise are drawn; they are decoded in the background."""
    lowest_snr_db: float = 5.0
    """Lowest signal-to-noise ratio, in dB."""
    highest_snr_db: float = 10.0
    """Highest signal-to-noise ratio, in dB."""
    noise_probability: float = 0.5
    """How often noise is added, from 0 to 1. At 1 the encoder never gets speech without noise."""
    band_limit: bool = True
    """Remove the frequencies above a random limit, as in a recording with a lower sample rate."""
    lowest_band_hz: float = 3000.0
    """Lowest limit in Hz of the band that is kept."""
    highest_band_hz: float = 8000.0
    """Highest limit in Hz of the band that is kept."""
    band_limit_probability: float = 0.0
    """How often the band is limited, from 0 to 1. The paper does not limit it."""
    time_mask: bool = True
    """Set a run of neighbouring frames to zero."""
    widest_time_mask: int = 40
    """Highest number of frames that a time mask sets to zero."""
    widest_time_mask_share: float = 0.08
    """Highest share of a crop's frames that a time mask sets to zero, from 0 to 1. Without it, 40 frames would be 40% of a crop
    of one second, and 3% of one of twelve."""
    frequency_mask: bool = True
    """Set a run of neighbouring channels to zero."""
    widest_frequency_mask: int = 10
    """Highest number of channels that a frequency mask sets to zero."""
    alteration: AlterationConfig = field(default_factory=AlterationConfig)
    """TERA's alteration, which the reconstruction undoes; used by profiles with a reconstruction loss."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.slowest <= self.fastest <= 2.0:
            raise UserError(f"speed from {self.slowest} to {self.fastest}: needs 0.5 <= slowest <= fastest <= 2")
        if not -1200.0 <= self.lowest_cents <= self.highest_cents <= 1200.0:
            raise UserError(
                f"pitch from {self.lowest_cents} to {self.highest_cents} cents: needs at most an octave, in order"
            )
        if self.lowest_snr_db > self.highest_snr_db:
            raise UserError(f"SNR from {self.lowest_snr_db} to {self.highest_snr_db} dB: give the lower one first")
        for name in ("speed", "pitch", "reverb", "noise", "band_limit"):
            if not 0.0 <= (probability := getattr(self, f"{name}_probability")) <= 1.0:
                raise UserError(f"{name} with probability {probability}: needs 0 to 1")
        if not 0.0 < self.lowest_band_hz <= self.highest_band_hz:
            raise UserError(
                f"band limits from {self.lowest_band_hz} to {self.highest_band_hz} Hz: give two above 0, the lower one first"
            )
        if self.rooms < 1:
            raise UserError(f"--augmentation.rooms {self.rooms}: give at least 1")
        if self.rooms_folder is not None and self.reverb_continuous:
            raise UserError(
                "--augmentation.reverb-continuous draws SoX's rooms; leave --augmentation.rooms-folder out, or it"
            )
        if self.noise_pieces < 1 or self.noise_every < 1:
            raise UserError(
                f"noise in {self.noise_pieces} pieces, others every {self.noise_every} steps: needs at least 1 of both"
            )
        if not 0.0 <= self.widest_time_mask_share <= 1.0:
            raise UserError(f"a time mask over a share of {self.widest_time_mask_share} of the frames: needs 0 to 1")

    def may(self, name: str) -> bool:
        """Whether an augmentation is switched on and has a probability above 0."""
        return getattr(self, name) and getattr(self, f"{name}_probability") > 0.0
