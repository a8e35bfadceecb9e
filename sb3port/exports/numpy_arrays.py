"""A policy as an `.npz`: the arrays that `numpy_forward` computes with, and nothing else is needed."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint, PolicySpec
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from sb3port.errors import NotPortable, UsageError
from sb3port.exports.graphs import GraphOptions, Run, graph_metadata
from sb3port.exports.numpy_forward import ACTIVATIONS, forward
from sb3port.families.activations import parse_activation


def write_numpy(checkpoint: Checkpoint, path: Path, options: GraphOptions) -> None:
    """Write the arrays; the array "metadata" says what they were made of.

    Raises:
        NotPortable: The policy is more than normaliser, layers and action.
        UsageError: `log_prob` is asked, which the forward pass does not compute.
        OSError: The file cannot be written.
    """
    _refuse_others(checkpoint, options)
    metadata = json.dumps({**graph_metadata(checkpoint, options.raw), "outputs": list(options.outputs)})
    arrays = {
        **_net(checkpoint, "policy"),
        **_net(checkpoint, "value"),
        **_normalizer(checkpoint, options.raw),
        **_action(checkpoint.spec, options.raw),
        **_activation(checkpoint.spec.activation_fn),
        "metadata": np.array(metadata),
    }
    np.savez(path, allow_pickle=False, **arrays)


def load_numpy(path: Path) -> Run:
    """Load the arrays as a function of arrays by name."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    names = json.loads(str(arrays["metadata"]))["outputs"]

    def run(feeds: dict[str, Array]) -> dict[str, Array]:
        action, value = forward(arrays, feeds["observation"])
        return {name: {"action": action, "value": value}[name] for name in names}

    return run


def _activation(text: str) -> dict[str, Array]:
    found = parse_activation(text)
    arguments = {f"activation.{key}": np.array(value) for key, value in found.arguments.items()}
    return {"activation": np.array(found.name), **arguments}


def _refuse_others(checkpoint: Checkpoint, options: GraphOptions) -> None:
    spec = checkpoint.spec
    reasons = {
        f"the features extractor {spec.features_extractor}": spec.features_extractor != "FlattenExtractor",
        f"observations of {spec.observation_space}": not _is_vector(spec),
        "an LSTM": spec.lstm_hidden_size is not None,
        "masks of actions": spec.maskable,
        f"the activation {spec.activation_fn}": parse_activation(spec.activation_fn).name not in ACTIVATIONS,
    }
    found = [reason[:300] for reason, holds in reasons.items() if holds]
    if found:
        raise NotPortable(
            f"{checkpoint.provenance.name} has {', '.join(found)}, which the forward pass in numpy has not",
            "export it with --to onnx or --to torch",
        )
    if "log_prob" in options.outputs:
        raise UsageError("the forward pass in numpy gives action and value", "leave log_prob out")


def _is_vector(spec: PolicySpec) -> bool:
    space = spec.observation_space
    return isinstance(space, MultiBinary) or (isinstance(space, Box) and not space.is_image)


def _net(checkpoint: Checkpoint, net: str) -> dict[str, Array]:
    """Give the layers from the features to the output, the shared ones first."""
    head = "action_net" if net == "policy" else "value_net"
    ends = (".weight", ".bias")
    prefixes = [
        name.removesuffix(".weight")
        for part in ("shared_net", f"{net}_net")
        for name in checkpoint.tensors
        if name.startswith(f"mlp_extractor.{part}.") and name.endswith(".weight")
    ]
    layers = [*prefixes, head]
    arrays = {
        f"{net}.{index}{end}": checkpoint.tensors[layer + end]
        for index, layer in enumerate(layers)
        for end in ends
    }
    return {**arrays, f"{net}.layers": np.array(len(layers))}


def _normalizer(checkpoint: Checkpoint, raw: bool) -> dict[str, Any]:
    normalizer = checkpoint.normalizer
    if raw or normalizer is None or "" not in normalizer.statistics:
        return {}
    rms, stack = normalizer.statistics[""], stacks_of(normalizer, checkpoint.spec.observation_space).get("")
    mean, std = rms.mean, np.sqrt(rms.var + normalizer.epsilon)
    frames = {} if stack is None else {"frames": np.array(stack.shape)}
    if stack is not None:
        mean, std = stack.repeated(mean), stack.repeated(std)
    return {"mean": mean.ravel(), "std": std.ravel(), "clip_obs": np.array(normalizer.clip_obs), **frames}


def _action(spec: PolicySpec, raw: bool) -> dict[str, Any]:
    """Say what becomes of the last layer's outputs."""
    tanh = spec.squash_output and spec.use_sde
    match spec.action_space:
        case Discrete():
            return {"kind": np.array("argmax")}
        case MultiDiscrete(nvec):
            return {"kind": np.array("argmax of each"), "splits": np.cumsum(nvec)[:-1]}
        case MultiBinary():
            return {"kind": np.array("sign")}
        case Box(low=low, high=high) if not raw:
            bounded = "squash" if tanh else "unscale" if spec.squash_output else "clip"
            return {"kind": np.array(bounded), "low": low, "high": high}
    return {"kind": np.array("tanh" if tanh else "mean")}
