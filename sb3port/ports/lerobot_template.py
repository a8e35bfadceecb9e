"""The JSON files of a port, exactly as LeRobot 0.6 itself writes them for our policy types.

Written here because importing LeRobot takes seconds and reading a checkpoint takes milliseconds. A test loads
a port with LeRobot, saves it again and compares the bytes.
"""

from typing import Any

from sb3port.checkpoint.checkpoint import Normalizer, PolicySpec, ReplaySpec
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import Box, Space, parts
from sb3port.families.features import batch_key, input_features, output_features
from sb3port.files.port_files import STATISTICS_FILE

CLIP_STEP, UNSCALE_STEP = "sb3port_clip_action", "sb3port_unscale_action"
IMAGE_RANK = 3
TYPE_PREFIX = "sb3_"
_IDENTITY = {"STATE": "IDENTITY", "VISUAL": "IDENTITY", "ACTION": "IDENTITY"}


def config_json(spec: PolicySpec, learning_rate: float) -> dict[str, Any]:
    """Give `config.json`: LeRobot's base fields, then those of `PPOConfig`, in the order of the dataclass.

    Args:
        spec: The policy.
        learning_rate: The optimiser preset of `lerobot-train`.
    """
    if isinstance(spec, ReplaySpec):
        return {**_lerobots(spec), **_replays(spec)}
    return {
        **_lerobots(spec),
        "observation_space": spec.observation_space.to_json(),
        "action_space": spec.action_space.to_json(),
        "features_extractor": spec.features_extractor,
        "features_extractor_kwargs": dict(spec.features_extractor_kwargs),
        "share_features_extractor": spec.share_features_extractor,
        "net_arch": spec.net_arch.to_json(),
        "activation_fn": spec.activation_fn,
        "ortho_init": spec.ortho_init,
        "normalize_images": spec.normalize_images,
        "use_sde": spec.use_sde,
        "log_std_init": spec.log_std_init,
        "full_std": spec.full_std,
        "use_expln": spec.use_expln,
        "sde_net_arch": None if spec.sde_net_arch is None else list(spec.sde_net_arch),
        "squash_output": spec.squash_output,
        "maskable": spec.maskable,
        "lstm_hidden_size": spec.lstm_hidden_size,
        "n_lstm_layers": spec.n_lstm_layers,
        "shared_lstm": spec.shared_lstm,
        "enable_critic_lstm": spec.enable_critic_lstm,
        "optimizer_lr": learning_rate,
        "optimizer_eps": 1e-05,
        "optimizer_grad_clip_norm": 0.5,
    }


def policy_type(spec: PolicySpec) -> str:
    """Give LeRobot's name for the type of a policy."""
    return f"{TYPE_PREFIX}{spec.algorithm}" if isinstance(spec, ReplaySpec) else "ppo"


def _replays(spec: ReplaySpec) -> dict[str, Any]:
    """Give the fields of `Sb3Config`."""
    plain = (
        *(
            "activation_fn",
            "normalize_images",
            "use_sde",
            "log_std_init",
            "full_std",
            "use_expln",
            "clip_mean",
        ),
        *("squash_output", "n_critics", "n_quantiles", "batch_norm", "batch_norm_momentum", "batch_norm_eps"),
        *("renorm_warmup_steps", "with_bias", "exploration_rate"),
    )
    return {
        "observation_space": spec.observation_space.to_json(),
        "action_space": spec.action_space.to_json(),
        "features_extractor": spec.features_extractor,
        "features_extractor_kwargs": dict(spec.features_extractor_kwargs),
        "share_features_extractor": spec.share_features_extractor,
        "net_arch": spec.net_arch.to_json(),
        "sde_net_arch": None if spec.sde_net_arch is None else list(spec.sde_net_arch),
        **{name: getattr(spec, name) for name in plain},
    }


def _lerobots(spec: PolicySpec) -> dict[str, Any]:
    """Give the fields of LeRobot's base class."""
    return {
        "type": policy_type(spec),
        "n_obs_steps": 1,
        "input_features": input_features(spec),
        "output_features": output_features(spec),
        "device": "cpu",
        "use_amp": False,
        "use_peft": False,
        "push_to_hub": False,
        "repo_id": None,
        "private": None,
        "tags": None,
        "license": None,
        "pretrained_path": None,
        "pretrained_revision": None,
        "normalization_mapping": dict(_IDENTITY),
    }


def preprocessor_json(spec: PolicySpec, normalizer: Normalizer | None) -> dict[str, Any]:
    """Give `policy_preprocessor.json`.

    Statistics are applied before `device_processor`: in float64 on the CPU, as SB3 does, also where the
    device has no float64.
    """
    steps = [
        _step("rename_observations_processor", rename_map={}),
        _step("to_batch_processor"),
        *_vec_normalize(normalizer, spec.observation_space),
        *_batching(spec),
        _step("device_processor", device="cpu", float_dtype=None),
        _step("normalizer_processor", **_normalization(input_features(spec) | output_features(spec))),
    ]
    return {"name": "policy_preprocessor", "steps": steps}


def postprocessor_json(spec: PolicySpec) -> dict[str, Any]:
    """Give `policy_postprocessor.json`: what SB3's `predict` does to an action after the network."""
    steps = [
        _step("unnormalizer_processor", **_normalization(output_features(spec))),
        _step("device_processor", device="cpu", float_dtype=None),
        *_action_bounds(spec),
    ]
    return {"name": "policy_postprocessor", "steps": steps}


def _step(registry_name: str, **config: Any) -> dict[str, Any]:
    return {"registry_name": registry_name, "config": config}


def _vec_normalize(normalizer: Normalizer | None, space: Space) -> list[dict[str, Any]]:
    if normalizer is None or not normalizer.statistics:
        return []
    config: dict[str, Any] = {"clip_obs": normalizer.clip_obs, "epsilon": normalizer.epsilon}
    shapes = normalized_shapes(normalizer, space)
    step = _step("sb3port_vec_normalize", **config, **({"shapes": shapes} if shapes else {}))
    return [step | {"state_file": STATISTICS_FILE}]


def normalized_shapes(normalizer: Normalizer, space: Space) -> dict[str, list[int]]:
    """Give the shapes that the step must know, by batch key.

    Those are of stacks of frames whose statistics are of one frame, and of what may be shown as an image.
    """
    stacks = stacks_of(normalizer, space)
    return {
        batch_key(name, part): list(part.shape)
        for name, part in parts(space).items()
        if name in normalizer.statistics and (name in stacks or len(part.shape) == IMAGE_RANK)
    }


def _batching(spec: PolicySpec) -> list[dict[str, Any]]:
    """LeRobot's own batching knows the key of a single vector or image only."""
    simple = isinstance(spec.observation_space, Box) and not spec.maskable
    return [] if simple else [_step("sb3port_to_batch")]


def _action_bounds(spec: PolicySpec) -> list[dict[str, Any]]:
    if not isinstance(spec.action_space, Box):
        return []
    space = spec.action_space.flattened().to_json()
    name = UNSCALE_STEP if spec.squash_output else CLIP_STEP
    return [_step(name, low=space["low"], high=space["high"], dtype=space["dtype"])]


def _normalization(features: dict[str, Any]) -> dict[str, Any]:
    return {"eps": 1e-08, "features": features, "norm_map": dict(_IDENTITY)}
