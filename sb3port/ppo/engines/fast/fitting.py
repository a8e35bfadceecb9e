"""Which policies the fast engine takes, and with what."""

from importlib.util import find_spec
from pathlib import Path

from sb3port.checkpoint.spaces import Box, parts
from sb3port.families.activations import parse_activation
from sb3port.ppo.engines.base import Learner
from sb3port.ppo.engines.fast.numpy_activations import SLOPES
from sb3port.ppo.engines.flat import fits_adam

_PLAIN = ("FlattenExtractor", "CombinedExtractor")


def unfit(learner: Learner) -> str | None:
    """Say why the fast engine cannot take a policy, as the rest of a sentence about it; None where it can."""
    spec = learner.spec
    seen = parts(spec.observation_space).values()
    activation = parse_activation(spec.activation_fn)
    if spec.features_extractor not in _PLAIN or any(isinstance(s, Box) and s.is_image for s in seen):
        return f"sees by {spec.features_extractor}"
    if spec.sde_net_arch is not None:
        return "has features of its own for gSDE"
    if activation.name not in SLOPES or activation.arguments.get("alpha") == 0:
        return f"has the activation {activation}"
    if not fits_adam(learner.optimizer_class, learner.optimizer):
        return f"is trained by {learner.optimizer_class} with other settings than SB3's"
    return _other(learner)


def _other(learner: Learner) -> str | None:
    """Say the same of what is neither an observation nor an activation nor an optimiser."""
    if learner.spec.lstm_hidden_size is not None and learner.spec.net_arch.shared:
        return "has layers above its LSTM that actor and critic share"
    if learner.reference is not None:
        return "is kept near the policy that it began as"
    if learner.mixed_precision:
        return "is computed in mixed precision"
    return None if learner.device.type == "cpu" else f"is on {learner.device}"


def is_installed() -> bool:
    """Whether Numba is there."""
    return find_spec("numba") is not None


def has_kernels(learner: Learner) -> bool:
    """Whether Numba, which is there, has kernels for a policy."""
    if learner.spec.lstm_hidden_size is not None:
        return False
    from sb3port.ppo.engines.fast.numba_arithmetic import kernel_of

    return kernel_of(parse_activation(learner.spec.activation_fn)) is not None


def is_kept() -> bool:
    """Whether Numba, which is there, has compiled the kernels on this machine already."""
    from sb3port.ppo.engines.fast import numba_kernels

    folder = Path(numba_kernels.learn_epoch.stats.cache_path)
    return any(folder.glob(f"{Path(numba_kernels.__file__).stem}.learn_epoch-*.nbi"))
