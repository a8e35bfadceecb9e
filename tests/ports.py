"""Loading ports in tests as a LeRobot user does, independently of sb3port's own verification."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from sb3port.commands.convert import Conversion, ConvertOptions, convert
from sb3port.commands.policies import read_options
from sb3port.commands.verify import VerifyOptions, verify
from sb3port.parity.comparison.report import ParityReport

Outputs = dict[str, torch.Tensor | None]


def port_of(source: Path, dest: Path, verify: bool = True, force: bool = False, **reading: Any) -> Conversion:
    """Convert a source without a word."""
    options = ConvertOptions(read_options(**reading), verify, force)
    return convert(str(source), dest, options, lambda *_: None)


def verified(port: Path, label: str | None = None, **options: Any) -> ParityReport:
    """Verify a port, without another process: importing LeRobot again costs eight seconds."""
    named = {name: options.pop(name) for name in ("extractor", "sandbox") if name in options}
    return verify(
        port, label, VerifyOptions(**{"reload": False, "reading": read_options(**named), **options})
    )


def port_outputs(folder: Path, observations: np.ndarray, actions: np.ndarray) -> Outputs:
    """Run a saved port through `from_pretrained` and both of its pipelines."""
    policy = PPOPolicy.from_pretrained(folder)
    preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    with torch.no_grad():
        batch = preprocess(batch_of(observations))
        value, log_prob, entropy = policy.evaluate_actions(batch, _flat(actions))
        return {
            "normalized_observation": batch["observation.state"].reshape(observations.shape),
            "mode": policy.predict(batch)[0].reshape(actions.shape),
            "action": postprocess(policy.select_action(batch)).reshape(actions.shape),
            "value": value,
            "log_prob": log_prob,
            "entropy": entropy,
        }


def batch_of(observations: Any) -> dict[str, torch.Tensor]:
    """Put observations where the policy expects them: images apart, all else flattened."""
    if not isinstance(observations, dict):
        key = "observation.image" if _is_image(observations) else "observation.state"
        return {key: _tensor(observations)}
    return {
        f"observation.images.{key}" if _is_image(array) else f"observation.{key}": _tensor(array)
        for key, array in observations.items()
    }


def _is_image(array: np.ndarray) -> bool:
    return array.ndim == 4 and array.dtype == np.uint8


def _tensor(array: np.ndarray) -> torch.Tensor:
    tensor = torch.as_tensor(array)
    return tensor if _is_image(array) else tensor.reshape(len(tensor), -1)


def sb3_outputs(
    model: BaseAlgorithm, normalizer: VecNormalize | None, observations: np.ndarray, actions: np.ndarray
) -> Outputs:
    """Run a model that SB3 itself built or loaded."""
    normalized = normalizer.normalize_obs(observations) if normalizer else observations
    batch = torch.as_tensor(normalized)
    with torch.no_grad():
        value, log_prob, entropy = model.policy.evaluate_actions(batch, _flat(actions))
        mode = model.policy.get_distribution(batch).get_actions(deterministic=True).reshape(actions.shape)
    return {
        "normalized_observation": batch,
        "mode": mode,
        "action": torch.as_tensor(model.predict(normalized, deterministic=True)[0]),
        "value": value.flatten(),
        "log_prob": log_prob,
        "entropy": entropy,
    }


def _flat(actions: np.ndarray) -> torch.Tensor:
    tensor = torch.as_tensor(actions)
    return tensor.flatten(1) if tensor.is_floating_point() else tensor


def assert_same_bits(actual: Outputs, expected: Outputs) -> None:
    """Compare every output with `torch.equal`, types included."""
    for name, reference in expected.items():
        candidate = actual[name]
        if reference is None or candidate is None:
            assert candidate is reference, name
            continue
        assert candidate.dtype == reference.dtype, name
        difference = (candidate.double() - reference.double()).abs().max().item()
        assert torch.equal(candidate, reference), f"{name} differs by up to {difference}"
