"""How a checkpoint is described to people, and as JSON."""

from typing import Any

from sb3port.checkpoint import Checkpoint, Normalizer
from sb3port.port import port_json


def policy_rows(checkpoint: Checkpoint) -> dict[str, str]:
    """Describe the policy in a few named lines."""
    spec = checkpoint.spec
    exploration = _exploration(checkpoint)
    return {
        "algorithm": spec.algorithm.upper()
        + (f", SB3 {v}" if (v := checkpoint.provenance.sb3_version) else ""),
        "observations": str(spec.observation_space),
        "actions": str(spec.action_space) + exploration,
        "networks": f"policy {list(spec.net_arch.pi)}, value {list(spec.net_arch.vf)}, {spec.activation_fn}",
        "normaliser": normalizer_text(checkpoint.normalizer),
    }


def _exploration(checkpoint: Checkpoint) -> str:
    spec = checkpoint.spec
    flags = [name for name in ("full_std", "use_expln", "squash_output") if getattr(spec, name)]
    named = f" ({', '.join(flags)})" if flags else ""
    return f", gSDE{named}" if spec.use_sde else ""


def normalizer_text(normalizer: Normalizer | None) -> str:
    """Describe VecNormalize in one line."""
    if normalizer is None:
        return "none"
    rms = normalizer.obs_rms
    observations = f"observations over {rms.count:,.0f} samples" if rms else "observations as they are"
    return f"VecNormalize, {observations}, clip_obs {normalizer.clip_obs:g}, epsilon {normalizer.epsilon:g}"


def checkpoint_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give everything that is known of a checkpoint, apart from the numbers in its tensors."""
    tensors = [
        {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
        for name, array in checkpoint.tensors.items()
    ]
    content = {key: value for key, value in port_json(checkpoint).items() if key not in ("format", "sb3port")}
    return {**content, "tensors": tensors, "imports": list(checkpoint.provenance.imports)}
