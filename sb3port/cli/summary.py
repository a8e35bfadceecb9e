"""How a checkpoint is described to people, and as JSON."""

from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.families.algorithms import display_name
from sb3port.families.descriptions import environment_text, exploration_text, networks_text, normalizer_text
from sb3port.ports.manifest import port_json
from sb3port.readers.formats.groups import is_own_code


def policy_rows(checkpoint: Checkpoint) -> dict[str, str]:
    """Describe the policy in a few named lines."""
    spec = checkpoint.spec
    environment = environment_text(checkpoint.environment)
    return {
        "algorithm": display_name(spec.algorithm)
        + (f", SB3 {v}" if (v := checkpoint.provenance.sb3_version) else ""),
        "observations": str(spec.observation_space),
        "actions": ", ".join(filter(None, (str(spec.action_space), exploration_text(spec)))),
        "networks": networks_text(spec),
        "normaliser": normalizer_text(checkpoint.normalizer),
        **({"environment": environment} if environment else {}),
    }


def checkpoint_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give everything that is known of a checkpoint, apart from the numbers in its tensors."""
    tensors = [
        {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
        for name, array in checkpoint.tensors.items()
    ]
    content = {key: value for key, value in port_json(checkpoint).items() if key not in ("format", "sb3port")}
    imports = list(checkpoint.provenance.imports)
    own_code = [name for name in imports if is_own_code(name)]
    return {**content, "tensors": tensors, "imports": imports, "own_code": own_code}
