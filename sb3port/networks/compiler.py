"""torch's compiler, which nothing here uses, and which takes as long to import as half of torch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torch.optim import Optimizer

# What `torch._compile._disable_dynamo` keeps on a function once it has imported the compiler.
_DISABLED = "__dynamo_disable"
_METHODS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let optimisers be made, saved and loaded without importing `torch._dynamo`; then all is as before.

    torch wraps these methods so that what is compiled leaves them out, and imports the compiler when one of
    them is first called. Where it is imported already, this does nothing.
    """
    wrapped = [getattr(getattr(Optimizer, name), "__wrapped__", None) for name in _METHODS]
    spared = [method for method in wrapped if method is not None and not hasattr(method, _DISABLED)]
    if "torch._dynamo" in sys.modules:
        spared = []
    for method in spared:
        setattr(method, _DISABLED, method)
    try:
        yield
    finally:
        for method in spared:
            delattr(method, _DISABLED)
