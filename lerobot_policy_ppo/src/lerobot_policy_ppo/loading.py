"""Loading policies: what lies beside the weights is checked before LeRobot loads it, and weights strictly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors import safe_open
from torch import nn

from sb3port.errors import NotPortable
from sb3port.files.port_files import CONFIG_FILE, POSTPROCESSOR_FILE, PREPROCESSOR_FILE
from sb3port.networks.weights import twins
from sb3port.ports.lerobot_folder import check_processors_of

_FILES = (CONFIG_FILE, PREPROCESSOR_FILE, POSTPROCESSOR_FILE)
# Of those of `from_pretrained`, what says where a file on the Hub is.
_WHERE = ("revision", "cache_dir", "token", "local_files_only", "force_download")


def refuse_other_processors(place: str | Path, options: Mapping[str, Any]) -> None:
    """Refuse a policy whose processors are not exactly those of its kind, before LeRobot loads them.

    Raises:
        ValueError: With the difference.
    """
    folder = Path(place) if Path(place).is_dir() else _fetch_processors(str(place), options)
    # Without any there are none to load.
    if folder is None or not all((folder / name).is_file() for name in _FILES):
        return
    try:
        check_processors_of(folder)
    except NotPortable as error:
        raise ValueError("; ".join(filter(None, (error.message, error.hint)))) from error


def _fetch_processors(repo_id: str, options: Mapping[str, Any]) -> Path | None:
    """Bring the files of a Hub repository that are checked into the cache; None where they are not there."""
    where = {name: options[name] for name in _WHERE if name in options}
    try:
        paths = [Path(hf_hub_download(repo_id, name, **where)) for name in _FILES]
    except (EntryNotFoundError, LocalEntryNotFoundError):
        return None
    return paths[0].parent


def check_weights(model: nn.Module, model_file: str) -> bool:
    """Raise one ValueError that lists every tensor of a file that is missing, unknown or misshapen.

    Args:
        model: The policy.
        model_file: A safetensors file, of which only the header is read.

    Returns:
        Whether the policy has tied parameters, each of which may be there under one of its names or more.
    """
    expected = model.state_dict()
    with safe_open(model_file, framework="pt") as tensors:
        found = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    tied = twins(model, found)
    problems = [f"{key} is missing" for key in expected if key not in found and key not in tied]
    problems += [f"{key} is unknown" for key in found if key not in expected]
    problems += [
        f"{key} has shape {found[key]} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in found and found[key] != tuple(tensor.shape)
    ]
    if problems:
        raise ValueError(f"The weights in {model_file} do not fit its configuration: {'; '.join(problems)}.")
    return bool(tied)
