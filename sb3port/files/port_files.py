"""Which files make a port: what `push` uploads, what is fetched from the Hub, and how a port is known."""

import re
from collections.abc import Iterable
from pathlib import Path

PORT_FILE, CONFIG_FILE, WEIGHTS_FILE = "sb3port.json", "config.json", "model.safetensors"
PREPROCESSOR_FILE, POSTPROCESSOR_FILE = "policy_preprocessor.json", "policy_postprocessor.json"
STATISTICS_FILE = "policy_preprocessor_step_2_sb3port_vec_normalize.safetensors"
STATE = "training_state"
# What algorithms that learn from replayed steps have in it beside, with the names of SB3's zips.
VARIABLES_FILE = "pytorch_variables.safetensors"
ENTROPY_OPTIMIZER = "ent_coef_optimizer"
CARD = "README.md"
REPORTS = ("parity.json", "parity.md", "parity.html")
FILE_NAMES = (
    r"sb3port\.json|README\.md|config\.json|model\.safetensors"
    r"|policy_(?:pre|post)processor(?:\.json|_step_\d+_\w+\.safetensors)"
    r"|training_state/(?:training_step\.json|pytorch_variables\.safetensors)"
    r"|training_state/(?:(?:actor\.optimizer|critic\.optimizer|ent_coef_optimizer)/)?"
    r"(?:optimizer_param_groups\.json|optimizer_state\.safetensors)"
    r"|parity\.(?:json|md|html)"
)


def port_files(names: Iterable[str]) -> list[str]:
    """Give those of the names, with `/` between folders, that are files of a port, sorted."""
    return sorted(name for name in names if re.fullmatch(FILE_NAMES, name))


def is_port(path: Path) -> bool:
    """Whether there is a port, of whatever state, or a policy that LeRobot saved."""
    return (path / PORT_FILE).is_file() or is_lerobot_policy(path)


def is_lerobot_policy(path: Path) -> bool:
    """Whether there is a policy that is no port: `lerobot-train` keeps nothing but LeRobot's own files."""
    has_files = all((path / name).is_file() for name in (CONFIG_FILE, WEIGHTS_FILE))
    return has_files and not (path / PORT_FILE).exists()
