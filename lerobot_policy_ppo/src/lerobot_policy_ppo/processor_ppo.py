"""What happens around the policy: VecNormalize before it, clipping or unscaling of actions after it.

`sb3port_to_batch` does what LeRobot's `to_batch_processor` does, for the keys that that one does not know.

The steps are registered with LeRobot when this module is imported; their names are part of the saved format.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lerobot.configs.types import PipelineFeatureType, PolicyFeature
from lerobot.processor import (
    AddBatchDimensionProcessorStep,
    DeviceProcessorStep,
    NormalizerProcessorStep,
    ObservationProcessorStep,
    PolicyActionProcessorStep,
    PolicyProcessorPipeline,
    ProcessorStep,
    ProcessorStepRegistry,
    RenameObservationsProcessorStep,
    UnnormalizerProcessorStep,
    policy_action_to_transition,
    transition_to_policy_action,
)
from lerobot.utils.constants import (
    OBS_IMAGE,
    OBS_IMAGES,
    OBS_STATE,
    OBS_STR,
    POLICY_POSTPROCESSOR_DEFAULT_NAME,
    POLICY_PREPROCESSOR_DEFAULT_NAME,
)
from numpy.typing import NDArray
from torch import Tensor

from lerobot_policy_ppo.configuration_ppo import PPOConfig
from lerobot_policy_ppo.configuration_spaces import SpacesConfig
from sb3port.checkpoint.frames import Stack, stack_of
from sb3port.families.features import ONE_IMAGE
from sb3port.networks.normaliser import normalize

_Features = dict[PipelineFeatureType, dict[str, PolicyFeature]]
_STATISTICS = ("mean", "var", "count")
_IMAGE_RANK = 3


@ProcessorStepRegistry.register(name="sb3port_vec_normalize")
@dataclass
class VecNormalizeProcessorStep(ObservationProcessorStep):
    """Normalise observations as SB3's VecNormalize does.

    `clip((x - mean) / sqrt(var + epsilon), -clip_obs, clip_obs)`, computed in float64 and returned in
    float32, which gives SB3's numbers bit for bit. Observations without statistics pass through.

    Where VecNormalize knew an image, the policy takes a vector: an image that LeRobot shows becomes one, with
    the pixels that it was made of. Where it knew one frame of a stack, each frame is normalised, and those
    that are not there yet are zeros (see `sb3port.checkpoint.frames`).

    Args:
        clip_obs: Bound of normalised observations.
        epsilon: Added to the variance.
        shapes: For observation keys the shape of one observation: of those that may be shown as an image, and
            of stacks of frames whose statistics are of one frame.
        stats: For each observation key its `mean` and `var`, of the shape of one observation or frame, and
            its `count`.
    """

    clip_obs: float = 10.0
    epsilon: float = 1e-8
    stats: Mapping[str, Mapping[str, Any]] | None = field(default=None, repr=False)
    shapes: Mapping[str, list[int]] = field(default_factory=dict)
    _stats: dict[str, dict[str, Tensor]] = field(default_factory=dict, init=False, repr=False)
    _cache: dict[tuple[str, torch.device], tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False
    )
    _stacks: dict[str, Stack] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        flat = {
            f"{key}.{name}": value for key, row in (self.stats or {}).items() for name, value in row.items()
        }
        self.load_state_dict({key: torch.tensor(np.asarray(value)) for key, value in flat.items()})

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Normalise every observation that has statistics; the others are left alone."""
        seen = self._as_vectors(observation)
        return {key: self.normalize(key, x) if key in self._stats else x for key, x in seen.items()}

    def normalize(self, key: str, observation: Tensor) -> Tensor:
        """Normalise one observation tensor.

        Args:
            key: Observation key, `observation.state` for instance.
            observation: `(B, *shape)` or `(B, n)`, of any number type.

        Returns:
            float32 of the same shape, on the same device.

        Raises:
            ValueError: The shape does not fit the statistics.
        """
        device = torch.device("cpu") if observation.device.type == "mps" else observation.device
        mean, std = (_fit(statistic, observation, key) for statistic in self._mean_and_std(key, device))
        return normalize(observation, mean, std, self.clip_obs, self._stacks.get(key))

    def get_config(self) -> dict[str, Any]:
        """`clip_obs` and `epsilon`, and `shapes` where there are some."""
        shapes = {"shapes": dict(self.shapes)} if self.shapes else {}
        return {"clip_obs": self.clip_obs, "epsilon": self.epsilon, **shapes}

    def state_dict(self) -> dict[str, Tensor]:
        """`<key>.mean`, `<key>.var` and `<key>.count` (0-d), float64 on the CPU."""
        return {f"{key}.{name}": row[name] for key, row in self._stats.items() for name in _STATISTICS}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take statistics in the form that `state_dict` gives.

        Raises:
            ValueError: A statistic is missing or unknown, or mean and variance differ in shape.
        """
        rows: dict[str, dict[str, Tensor]] = {}
        for flat_key, value in state.items():
            key, _, name = flat_key.rpartition(".")
            rows.setdefault(key, {})[name] = value.detach().to("cpu", torch.float64, copy=True)
        for key, row in rows.items():
            _check_statistics(key, row)
        self._stats, self._cache = rows, {}
        found = {
            key: stack_of(tuple(rows[key]["mean"].shape), tuple(shape))
            for key, shape in self.shapes.items()
            if key in rows
        }
        self._stacks = {key: stack for key, stack in found.items() if stack is not None}

    def transform_features(self, features: _Features) -> _Features:
        """Shapes do not change."""
        return features

    def _mean_and_std(self, key: str, device: torch.device) -> tuple[Tensor, Tensor]:
        if (key, device) not in self._cache:
            row, stack = self._stats[key], self._stacks.get(key)
            pair = row["mean"], torch.sqrt(row["var"] + self.epsilon)
            mean, std = (torch.from_numpy(stack.repeated(x.numpy())) if stack else x for x in pair)
            self._cache[key, device] = (mean.to(device), std.to(device))
        return self._cache[key, device]

    def _as_vectors(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Give images that VecNormalize knew their own keys, pixels and layout."""
        shapes = {key: tuple(shape) for key, shape in self.shapes.items() if len(shape) == _IMAGE_RANK}
        shown = {_image_key(key): key for key in shapes if key not in observation}
        return {
            shown.get(key, key): _pixels(x, shapes[shown[key]]) if key in shown else x
            for key, x in observation.items()
        }


@ProcessorStepRegistry.register(name="sb3port_to_batch")
@dataclass
class ToBatchProcessorStep(ObservationProcessorStep):
    """Give single observations a batch dimension: `(n,)` becomes `(1, n)`, a number becomes `(1, 1)`.

    LeRobot's own step, which comes before, does so for `observation.state` and for images only.
    """

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Batch every tensor of at most one dimension."""
        return {key: _batched(x) if isinstance(x, Tensor) else x for key, x in observation.items()}

    def transform_features(self, features: _Features) -> _Features:
        """Features have no batch dimension."""
        return features


@dataclass
class _BoundsStep(PolicyActionProcessorStep):
    """A step that knows the bounds of a Box action space.

    Args:
        low: Lower bound: one number, or a list nested like the shape of the space.
        high: Upper bound, likewise.
        dtype: NumPy's name of the dtype of the space.
    """

    low: Any
    high: Any
    dtype: str = "float32"

    def __post_init__(self) -> None:
        # At least one dimension: NumPy would not let a scalar's dtype take part in type promotion.
        self._low, self._high = (np.asarray(bound, self.dtype).reshape(-1) for bound in (self.low, self.high))

    def get_config(self) -> dict[str, Any]:
        """`low`, `high` and `dtype` as given."""
        return {"low": self.low, "high": self.high, "dtype": self.dtype}

    def transform_features(self, features: _Features) -> _Features:
        """Shapes do not change."""
        return features


@ProcessorStepRegistry.register(name="sb3port_clip_action")
@dataclass
class ClipActionProcessorStep(_BoundsStep):
    """Clip actions to the bounds of the action space, as SB3's `predict` does.

    NumPy computes, so that its rules decide on the dtype: bounds in float64 give actions in float64.
    """

    def action(self, action: Tensor) -> Tensor:
        """Clip `(B, A)`, with A the flattened shape; the result is on the CPU."""
        return torch.from_numpy(np.clip(_to_numpy(action), self._low, self._high))


@ProcessorStepRegistry.register(name="sb3port_unscale_action")
@dataclass
class UnscaleActionProcessorStep(_BoundsStep):
    """Map squashed actions from [-1, 1] to the bounds of the action space, as SB3's `predict` does."""

    def action(self, action: Tensor) -> Tensor:
        """Unscale `(B, A)`, with A the flattened shape; the result is on the CPU."""
        unit = 0.5 * (_to_numpy(action) + 1.0)
        return torch.from_numpy(self._low + unit * (self._high - self._low))


def make_ppo_pre_post_processors(
    config: PPOConfig,
    dataset_stats: dict[str, dict[str, Tensor]] | None = None,
    vec_normalize: VecNormalizeProcessorStep | None = None,
) -> tuple[PolicyProcessorPipeline[dict[str, Any], dict[str, Any]], PolicyProcessorPipeline[Tensor, Tensor]]:
    """Build the pipelines around a `ppo` policy; LeRobot's factory finds this function by its name.

    Args:
        config: The policy's configuration; spaces and features that it lacks are derived.
        dataset_stats: LeRobot's statistics, unused as long as `normalization_mapping` is the identity.
        vec_normalize: Normalisation of observations, or None when the policy was trained without.

    Returns:
        The preprocessor, from a batch to a batch, and the postprocessor, from an action to an action.

    Raises:
        ValueError: The configuration is incomplete, contradictory or not supported.
    """
    return make_processors(config, dataset_stats, vec_normalize)


def make_processors(
    config: SpacesConfig,
    dataset_stats: dict[str, dict[str, Tensor]] | None = None,
    vec_normalize: VecNormalizeProcessorStep | None = None,
) -> tuple[PolicyProcessorPipeline[dict[str, Any], dict[str, Any]], PolicyProcessorPipeline[Tensor, Tensor]]:
    """Build the pipelines around a policy of ours; see `make_ppo_pre_post_processors`."""
    config.validate_features()
    outputs = config.output_features or {}
    normalize = {"norm_map": config.normalization_mapping, "stats": dataset_stats}
    before: list[ProcessorStep] = [
        RenameObservationsProcessorStep(rename_map={}),
        AddBatchDimensionProcessorStep(),
        # In this order, so that the file of the statistics always has the same name.
        *([vec_normalize] if vec_normalize else []),
        *([ToBatchProcessorStep()] if _has_other_keys(config) else []),
        DeviceProcessorStep(device=config.device or "cpu"),
        NormalizerProcessorStep(features={**(config.input_features or {}), **outputs}, **normalize),
    ]
    after = [UnnormalizerProcessorStep(features=outputs, **normalize), DeviceProcessorStep(device="cpu")]
    return (
        PolicyProcessorPipeline(steps=before, name=POLICY_PREPROCESSOR_DEFAULT_NAME),
        PolicyProcessorPipeline(
            steps=[*after, *_action_steps(config)],
            name=POLICY_POSTPROCESSOR_DEFAULT_NAME,
            to_transition=policy_action_to_transition,
            to_output=transition_to_policy_action,
        ),
    )


def _action_steps(config: SpacesConfig) -> list[ProcessorStep]:
    form = config.action_space or {}
    if form.get("type") != "Box":
        return []
    step = UnscaleActionProcessorStep if config.spec.squash_output else ClipActionProcessorStep
    low, high = (np.ravel(form[key]).tolist() if np.ndim(form[key]) else form[key] for key in ("low", "high"))
    return [step(low=low, high=high, dtype=form["dtype"])]


def _has_other_keys(config: SpacesConfig) -> bool:
    """Whether LeRobot's own step does not know how to batch all observations."""
    return config.has_masks or (config.observation_space or {}).get("type") != "Box"


def _batched(tensor: Tensor) -> Tensor:
    return tensor.reshape(1, -1) if tensor.ndim < 2 else tensor


def _image_key(key: str) -> str:
    """Key under which LeRobot shows an image that the policy takes as a vector under `key`."""
    name = key.removeprefix(f"{OBS_STR}.")
    return OBS_IMAGE if key == OBS_STATE or name == ONE_IMAGE else f"{OBS_IMAGES}.{name}"


def _pixels(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Give the pixels of LeRobot's images, floats `(B, C, H, W)` from 0 to 1, flattened: `(B, n)`.

    Raises:
        ValueError: They are of another shape, whatever the place of the channels.
    """
    # Rounding gives back the integers that were divided.
    pixels = (images.float() * 255.0).round() if images.is_floating_point() else images
    if images.shape[-3:] == shape:
        return pixels.flatten(-3)
    if (*images.shape[-2:], images.shape[-3]) == shape:
        return pixels.movedim(-3, -1).flatten(-3)
    raise ValueError(f"The images have shape {tuple(images.shape)}, but the policy was trained on {shape}.")


def _to_numpy(action: Tensor) -> NDArray[Any]:
    return action.detach().cpu().numpy()


def _fit(statistic: Tensor, observation: Tensor, key: str) -> Tensor:
    """View a statistic so that it broadcasts over the rows of `observation`, which may be flattened."""
    if statistic.numel() == 1:
        return statistic.reshape(())
    for shape in (statistic.shape, (statistic.numel(),)):
        if observation.shape[-len(shape) :] == shape:
            return statistic.reshape(shape)
    raise ValueError(
        f"{key} has shape {tuple(observation.shape)}, but its statistics have {tuple(statistic.shape)}."
    )


def _check_statistics(key: str, row: dict[str, Tensor]) -> None:
    if set(row) != set(_STATISTICS):
        raise ValueError(f"The statistics of {key!r} are {sorted(row)}, but {list(_STATISTICS)} are needed.")
    if row["mean"].shape != row["var"].shape:
        shapes = tuple(row["mean"].shape), tuple(row["var"].shape)
        raise ValueError(f"Mean and variance of {key!r} have the shapes {shapes[0]} and {shapes[1]}.")
