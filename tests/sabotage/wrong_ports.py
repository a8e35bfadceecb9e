"""How to make wrong ports of right ones, as a faulty converter would: the recorded hashes fit them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors.numpy import load_file, save_file

from sb3port.files.port_files import PORT_FILE, STATISTICS_FILE
from sb3port.ports.manifest import hash_files, recorded_files

Tensors: TypeAlias = dict[str, np.ndarray]
Sabotage: TypeAlias = Callable[[Path], None]

PI, VF = "mlp_extractor.policy_net", "mlp_extractor.value_net"


def edit_tensors(port: Path, change: Callable[[Tensors], Any], name: str = "model.safetensors") -> None:
    """Change tensors in place; the port's record of its files goes with them."""
    tensors = load_file(port / name)
    change(tensors)
    save_file({key: np.array(array, order="C") for key, array in tensors.items()}, port / name)
    record_files(port)


def edit_json(port: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file; the port's record of its files goes with it."""
    content = json.loads((port / name).read_text())
    change(content)
    (port / name).write_text(json.dumps(content))
    if name != PORT_FILE:
        record_files(port)


def record_files(port: Path) -> None:
    """Record the hashes of the files as they are."""
    content = json.loads((port / PORT_FILE).read_text())
    content["files"] = hash_files(port, recorded_files(port))
    (port / PORT_FILE).write_text(json.dumps(content))


def weights(change: Callable[[Tensors], Any]) -> Sabotage:
    """Change weights."""
    return lambda port: edit_tensors(port, change)


def statistics(change: Callable[[Tensors], Any]) -> Sabotage:
    """Change the statistics of the normaliser."""
    return lambda port: edit_tensors(port, change, STATISTICS_FILE)


def config(**fields: Any) -> Sabotage:
    """Change what LeRobot builds the policy from."""
    return lambda port: edit_json(port, "config.json", lambda content: content.update(fields))


def preprocessor(**fields: Any) -> Sabotage:
    """Change the settings of the normaliser."""
    return lambda port: edit_json(port, "policy_preprocessor.json", lambda content: _step(content, fields))


def postprocessor(**fields: Any) -> Sabotage:
    """Change the settings of the step that makes the environment's actions."""
    return lambda port: edit_json(
        port, "policy_postprocessor.json", lambda content: content["steps"][-1]["config"].update(fields)
    )


def _step(content: dict[str, Any], fields: dict[str, Any]) -> None:
    (step,) = (s for s in content["steps"] if s["registry_name"] == "sb3port_vec_normalize")
    step["config"].update(fields)


def without_normaliser(port: Path) -> None:
    """Leave the normaliser out."""
    edit_json(port, "policy_preprocessor.json", lambda content: content["steps"].pop(2))


def without_action_step(port: Path) -> None:
    """Neither clip nor unscale actions."""
    edit_json(port, "policy_postprocessor.json", lambda content: content["steps"].pop())


def clip_for_squash(port: Path) -> None:
    """Clip actions that are to be unscaled."""
    edit_json(
        port,
        "policy_postprocessor.json",
        lambda content: content["steps"][-1].update(registry_name="sb3port_clip_action"),
    )


def flip_last_bit(tensors: Tensors) -> None:
    """Change a weight as little as can be."""
    tensors[f"{PI}.2.weight"].view(np.int32)[11, 7] ^= 1


def swap_nets(tensors: Tensors) -> None:
    """Take each of the two nets for the other one."""
    for layer in ("0.weight", "0.bias", "2.weight", "2.bias"):
        pi, vf = f"{PI}.{layer}", f"{VF}.{layer}"
        tensors[pi], tensors[vf] = tensors[vf], tensors[pi]


def transpose(tensors: Tensors) -> None:
    """Transpose a square weight, which fits either way."""
    tensors[f"{PI}.2.weight"] = tensors[f"{PI}.2.weight"].T


def epsilon_outside_the_root(tensors: Tensors) -> None:
    """Statistics with which sqrt(var + 1e-8) is what sqrt(var) + 1e-8 would be."""
    var = tensors["observation.state.var"]
    var[:] = (np.sqrt(var) + 1e-8) ** 2 - 1e-8


def float32_statistics(tensors: Tensors) -> None:
    """Round mean and variance to float32."""
    for name in ("mean", "var"):
        key = f"observation.state.{name}"
        tensors[key] = tensors[key].astype(np.float32).astype(np.float64)


def swap_logits(tensors: Tensors) -> None:
    """Take each of two discrete actions for the other one."""
    for name in ("weight", "bias"):
        tensors[f"action_net.{name}"] = tensors[f"action_net.{name}"][::-1]
