"""The forward pass of an `.npz` that `sb3port export --to numpy` writes: numpy alone, to be copied."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[Any]]

ACTIVATIONS: dict[str, Callable[..., Array]] = {
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "LeakyReLU": lambda x, negative_slope=0.01: np.where(x > 0, x, np.float32(negative_slope) * x),
    "ELU": lambda x, alpha=1.0: np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0))),
    "SiLU": lambda x: x * (1 + np.tanh(x / 2)) / 2,
    "Sigmoid": lambda x: (1 + np.tanh(x / 2)) / 2,
}

_ARGUMENTS = ("negative_slope", "alpha")


def forward(arrays: Mapping[str, Array], observations: Array) -> tuple[Array, Array]:
    """Give actions for the environment and values for a batch of raw observations, `(B, ...)`."""
    x: Array = observations.reshape(len(observations), -1)
    if "mean" in arrays:  # VecNormalize, in float64
        raw, clip = x, arrays["clip_obs"]
        x = np.clip((raw - arrays["mean"]) / arrays["std"], -clip, clip)
        x = without_missing_frames(arrays, raw, x) if "frames" in arrays else x
    x = x.astype(np.float32)
    return act(arrays, mlp(arrays, "policy", x)), mlp(arrays, "value", x)[:, 0]


def without_missing_frames(arrays: Mapping[str, Array], raw: Array, x: Array) -> Array:
    """Put zeros where a stack has no frame yet: before the first that is not of (positive) zeros alone."""
    frames = raw.reshape(-1, *arrays["frames"])
    there = ((frames != 0) | np.signbit(frames)).any(axis=(1, 3))
    there[:, -1] = True  # the newest is always there
    begun = np.logical_or.accumulate(there, axis=1)[:, None, :, None]
    return np.where(begun, x.reshape(frames.shape), 0.0).reshape(x.shape)


def mlp(arrays: Mapping[str, Array], net: str, x: Array) -> Array:
    """Run the layers of the policy or of the value."""
    activation, depth = ACTIVATIONS[str(arrays["activation"])], int(arrays[f"{net}.layers"])
    arguments = {key: arrays[f"activation.{key}"] for key in _ARGUMENTS if f"activation.{key}" in arrays}
    for layer in range(depth):
        x = x @ arrays[f"{net}.{layer}.weight"].T + arrays[f"{net}.{layer}.bias"]
        x = activation(x, **arguments) if layer < depth - 1 else x
    return x


def act(arrays: Mapping[str, Array], x: Array) -> Array:
    """Give actions from what the last layer gives."""
    kind = str(arrays["kind"])
    if kind == "argmax":  # Discrete
        return np.asarray(x.argmax(axis=1))
    if kind == "argmax of each":  # MultiDiscrete
        return np.stack([part.argmax(axis=1) for part in np.split(x, arrays["splits"], axis=1)], axis=1)
    if kind == "sign":  # MultiBinary
        return (x > 0).astype(np.int64)
    if kind in ("mean", "tanh"):  # Box, raw
        return np.tanh(x) if kind == "tanh" else x
    low, high = arrays["low"], arrays["high"]
    x = x.reshape(-1, *low.shape)
    if kind == "clip":
        return np.clip(x, low, high)
    squashed = np.tanh(x) if kind == "squash" else x
    return np.asarray(low + 0.5 * (squashed + 1) * (high - low))
