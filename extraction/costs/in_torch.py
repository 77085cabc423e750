"""Count the operations of a network in PyTorch."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

# Operators that compute products, but for which torch's counter counts no operations. Each entry is the beginning of a name:
# a namespace, or a namespace and the beginning of an operator's name.
_NOT_COUNTED = (
    "mkldnn::",
    "onednn::",
    "quantized::",
    "aten::mkldnn_",
    "aten::_mkldnn",
    "aten::_cudnn_rnn",
    "aten::miopen_rnn",
    "aten::_transformer_encoder_layer_fwd",
    "aten::_native_multi_head_attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_int_mm",
    "aten::_weight_int",
)


def count_torch(work: Callable[[], object]) -> int | None:
    """Count the operations that `work` runs in PyTorch: two for each multiplication and addition of a product.

    During counting, fused kernels that the counter does not know are switched off: recurrent layers of oneDNN and cuDNN, and
    attention on CPUs. Their products then run, and are counted, one by one.

    Args:
      work: function that is called once.

    Returns:
      operations; None if `work` uses a kernel whose operations are not counted.
    """
    seen, counter = _Seen(), FlopCounterMode(display=False)
    with _without_fused_kernels(), seen, counter:
        work()
    if any(name.startswith(_NOT_COUNTED) for name in seen.names):
        return None
    return int(counter.get_total_flops())


class _Seen(TorchDispatchMode):
    """Collects the names of the operators that PyTorch calls."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func._schema.name)
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def _without_fused_kernels() -> Iterator[None]:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "TF32 acceleration on top of oneDNN")
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            if torch.cuda.is_available():
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
