"""PASE+ (Ravanelli et al., arXiv 2001.09239) with its published weights, without the two packages that s3prl's version needs."""

import logging
from typing import Any

from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.pase_network import MIN_SAMPLES, N_LAYERS, PaseNetwork
from extraction.upstreams.torch_checkpoint import (
    encoder_checkpoint,
    fill,
    first_few,
    read_checkpoint,
    weights_revision,
)
from extraction.upstreams.torch_network import TorchUpstream
from extraction.upstreams.torch_runtime import apply_threads, check_autocast, resolve_device, without_autocast
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

# The address is the one in s3prl. The settings next to this file (PASE+.cfg) are those of the only published network; we do not
# need them.
URL = "https://www.dropbox.com/s/p8811o7eadv4pat/FE_e199.ckpt?dl=1"
FILE = "FE_e199.ckpt"


def pase_plus(options: UpstreamOptions) -> TorchUpstream:
    """Load the published encoder: nine hidden states of 256 numbers every 10 ms, in s3prl's order.

    Args:
      options: `checkpoint` names the file, or a folder that contains it as `FE_e199.ckpt` or `pase_plus.ckpt`; without it, the
        file is taken from s3prl's cache or downloaded into it.

    Raises:
      UserError: if there is no file and it cannot be downloaded, or if the file does not fill the network.
    """
    check_autocast(options.autocast)
    device = resolve_device(options.device)
    apply_threads(options)
    path = encoder_checkpoint("pase_plus", options.checkpoint, FILE)
    source = "from a file of the user's"
    if path is None:
        from extraction.upstreams.s3prl import compat, weights

        compat.prepare()
        path, source = weights.fetch(URL), URL
    contents = read_checkpoint(path, options.trust_checkpoint)
    saved = contents.get("state_dict", contents) if isinstance(contents, dict) else None
    if not isinstance(saved, dict):
        raise UserError(f"{path} holds a {type(contents).__name__}; a dictionary with the tensors of PASE+ is needed")
    network = PaseNetwork()
    unused = fill("PASE+", network, saved, path)
    if unused:
        log.info("PASE+: %d tensors of %s are not used: %s", len(unused), path, first_few(unused))
    network.eval().requires_grad_(False).to(device)
    # The sines of the filters have large arguments, which half precision cannot represent.
    sinc: Any = network.blocks[0].conv
    sinc.forward = without_autocast(sinc.forward)
    return TorchUpstream(
        name="pase_plus",
        title="PASE+",
        revision=weights_revision(path, options.autocast),
        licence="",
        source=source,
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        min_samples=MIN_SAMPLES,
        layers=tuple(str(number) for number in range(N_LAYERS)),
        states=network,
        device=device,
        autocast=options.autocast,
    )
