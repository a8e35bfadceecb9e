"""A policy in NumPy alone: an `.npz` with its arrays, and the module beside it that computes with them."""

import json
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint, PolicySpec, ReplaySpec
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiDiscrete
from sb3port.errors import NotPortable, UsageError
from sb3port.exports.graphs import GraphOptions, Run, graph_metadata
from sb3port.exports.numpy_module import extractor_name, module_source, numbered, part_name
from sb3port.families.activations import parse_activation
from sb3port.families.extractors import is_own
from sb3port.inference.layers import acting_layers, choice, mlp_layers

_STATES = ("hidden_state", "cell_state")


def write_numpy(checkpoint: Checkpoint, path: Path, options: GraphOptions) -> None:
    """Write the arrays, of which "metadata" says what they were made of, and the module.

    Raises:
        NotPortable: The features extractor is the user's own.
        UsageError: An output is asked that the module has not.
        OSError: A file cannot be written.
    """
    _refuse_others(checkpoint, options)
    spec = checkpoint.spec
    metadata = json.dumps({**graph_metadata(checkpoint, options.raw), "outputs": list(options.outputs)})
    arrays: dict[str, Any] = {
        **dict(_tensors(checkpoint, "value" in options.outputs)),
        **dict(_observations(checkpoint, options.raw)),
        **_actions(spec, options.raw),
        **_activation(spec.activation_fn),
        "metadata": np.array(metadata),
    }
    np.savez(path, allow_pickle=False, **arrays)
    path.with_suffix(".py").write_text(module_source(checkpoint, options), encoding="utf-8")


def load_numpy(path: Path) -> Run:
    """Load the module with its arrays as a function of arrays by name, like a graph."""
    policy = runpy.run_path(str(path.with_suffix(".py")))["load"]()
    with np.load(path, allow_pickle=False) as file:
        names = json.loads(str(file["metadata"]))["outputs"]

    def run(feeds: dict[str, Array]) -> dict[str, Array]:
        seen = _observation(feeds)
        given: dict[str, Any] = {"action_masks": feeds["action_mask"]} if "action_mask" in feeds else {}
        if "hidden_state" in feeds:
            given["state"] = tuple(feeds[name] for name in _STATES)
            given["episode_start"] = feeds["episode_start"]
        action, state = policy.predict(seen, **given)
        found = {"action": action}
        if "value" in names:
            found["value"] = policy.predict_values(seen)
        after = {f"next_{name}": part for name, part in zip(_STATES, state or (), strict=False)}
        return {**{name: found[name] for name in names}, **after}

    return run


def _observation(feeds: Mapping[str, Array]) -> Any:
    if "observation" in feeds:
        return feeds["observation"]
    prefix = "observation."
    return {name.removeprefix(prefix): array for name, array in feeds.items() if name.startswith(prefix)}


def _refuse_others(checkpoint: Checkpoint, options: GraphOptions) -> None:
    spec = checkpoint.spec
    if is_own(spec.features_extractor):
        raise NotPortable(
            f"{checkpoint.provenance.name} has the features extractor {spec.features_extractor[:200]}, whose "
            "code is in torch",
            "export it with --to onnx or --to torch",
        )
    there = ("action",) if isinstance(spec, ReplaySpec) else ("action", "value")
    if others := [name for name in options.outputs if name not in there]:
        raise UsageError(f"a module in numpy gives {' and '.join(there)}", f"leave {', '.join(others)} out")
    if "value" in options.outputs and spec.lstm_hidden_size is not None:
        raise UsageError(
            "a module in numpy has no memory for the critic of a recurrent policy",
            "leave value out, or choose --to onnx",
        )


def _tensors(checkpoint: Checkpoint, value: bool) -> Iterator[tuple[str, Array]]:
    """Give the weights that are needed by SB3's names, in which a number stands for the key of a Dict."""
    spec, tensors = checkpoint.spec, checkpoint.tensors
    acting = acting_layers(spec)
    names = [acting.last, "lstm_actor", *acting.hidden, *acting.norms]
    names += ["value_net", *mlp_layers(spec, "value_net")] if value else []
    yield from ((key, array) for key, array in tensors.items() if key.rpartition(".")[0] in names)
    if acting.norms and isinstance(spec, ReplaySpec):
        yield "batch_norm_eps", np.array(spec.batch_norm_eps)
    for critic in (False, True) if value and not spec.share_features_extractor else (False,):
        prefix = f"{acting.prefix}{extractor_name(None, critic)}."
        for number, key, _ in numbered(spec.observation_space):
            own = prefix if number is None else f"{prefix}extractors.{key}."
            name = extractor_name(number, critic)
            yield from (
                (f"{name}.{tensor.removeprefix(own)}", array)
                for tensor, array in tensors.items()
                if tensor.startswith(own)
            )


def _observations(checkpoint: Checkpoint, raw: bool) -> Iterator[tuple[str, Any]]:
    """Give what is known of the parts of an observation: shapes, sizes of choices, statistics."""
    spec, normalizer = checkpoint.spec, None if raw else checkpoint.normalizer
    stacks = stacks_of(normalizer, spec.observation_space)
    if isinstance(spec.observation_space, Dict):
        yield "keys", np.array(json.dumps(list(spec.observation_space.spaces)))
    for number, key, space in numbered(spec.observation_space):
        name = part_name(number)
        yield f"{name}.shape", np.array(space.shape, np.int64)
        if isinstance(space, Discrete | MultiDiscrete):
            yield f"{name}.sizes", np.array([space.n] if isinstance(space, Discrete) else space.nvec)
        if normalizer is not None and key in normalizer.statistics:
            rms, stack = normalizer.statistics[key], stacks.get(key)
            mean, std = rms.mean, np.sqrt(rms.var + normalizer.epsilon)
            if stack is not None:
                mean, std = stack.repeated(mean), stack.repeated(std)
                yield f"{name}.frames", np.array(stack.shape)
            yield from ((f"{name}.mean", mean), (f"{name}.std", std))
            yield f"{name}.clip_obs", np.array(normalizer.clip_obs)


def _actions(spec: PolicySpec, raw: bool) -> dict[str, Any]:
    space, (_, sizes) = spec.action_space, choice(spec)
    found = {"sizes": np.array(sizes)} if sizes else {}
    return {**found, "low": space.low, "high": space.high} if isinstance(space, Box) and not raw else found


def _activation(text: str) -> dict[str, Any]:
    return {f"activation.{name}": np.array(value) for name, value in parse_activation(text).arguments.items()}
