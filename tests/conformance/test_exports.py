"""The cases of conformance there and back: ported, exported to SB3, and loaded by SB3 itself.

What SB3 loads is compared with the model that was ported: parameters, optimiser, settings. It trains on, and
a second round trip changes nothing.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.commands.policies import read_policy
from sb3port.exports.read_back import changes
from sb3port.ports.reading import read_port
from tests.conformance.building import Stub, saved
from tests.conformance.cases import ACTIVATIONS, WITH_ARGUMENTS, sampled
from tests.conformance.cases import CASES as ALL
from tests.exports import export_of, zip_of
from tests.ports import port_of

pytestmark = pytest.mark.long

# One activation is written as any other.
OTHERS = {f"ppo-{name}" for name in ACTIVATIONS - {"SiLU"}} | WITH_ARGUMENTS.keys() - {
    "ppo-LeakyReLU-with-arguments"
}
CASES = {name: case for name, case in ALL.items() if name not in OTHERS}
SETTINGS = (
    "learning_rate",
    "n_steps",
    "batch_size",
    "n_epochs",
    "gamma",
    "gae_lambda",
    "ent_coef",
    "vf_coef",
    "max_grad_norm",
    "normalize_advantage",
    "target_kl",
    "n_envs",
    "num_timesteps",
    "seed",
    "use_sde",
    "sde_sample_freq",
    "cg_max_steps",
    "sub_sampling_factor",
)


@pytest.mark.parametrize("name", sampled(CASES, every=5))
def test_there_and_back(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model, _ = saved(case, tmp_path / "original")
    port_of(tmp_path / "original", tmp_path / "port", verify=False)
    done = export_of(tmp_path / "port", tmp_path / "export")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"

    env: Any = DummyVecEnv([lambda: Stub(case)])
    if case.normalize:
        env = VecNormalize.load(str(tmp_path / "export" / "vec_normalize.pkl"), env)
    algorithm: Any = case.algorithm
    loaded = algorithm.load(zip_of(done), env, device="cpu")
    assert_same_model(loaded, model)

    port_of(tmp_path / "export", tmp_path / "again", verify=False)
    first, second = read_port(tmp_path / "port"), read_port(tmp_path / "again")
    assert changes(first, second) == []
    assert first.warnings == second.warnings
    assert changes(second, read_policy(tmp_path / "export")) == []

    if not (case.algorithm is RecurrentPPO and isinstance(case.action, spaces.MultiBinary)):
        before = loaded.num_timesteps
        loaded.learn(16, reset_num_timesteps=False)
        assert loaded.num_timesteps == before + 16


def assert_same_model(loaded: Any, model: Any) -> None:
    assert type(loaded.policy) is type(model.policy)
    assert_same_tensors(loaded.policy.state_dict(), model.policy.state_dict())
    ours, theirs = loaded.policy.optimizer, model.policy.optimizer
    assert type(ours) is type(theirs)
    assert ours.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]
    for number, row in theirs.state_dict()["state"].items():
        assert_same_tensors(ours.state_dict()["state"][number], row)
    assert loaded.action_space == model.action_space
    assert list_of(loaded.observation_space) == list_of(model.observation_space)
    for name in SETTINGS:
        assert getattr(loaded, name, None) == getattr(model, name, None), name
    for name in ("lr_schedule", "clip_range", "clip_range_vf"):
        schedule = getattr(model, name, None)
        assert (schedule is None) == (getattr(loaded, name, None) is None)
        for progress in (1.0, 0.6, 0.0) if schedule else ():
            assert getattr(loaded, name)(progress) == schedule(progress)


def list_of(space: spaces.Space[Any]) -> Any:
    """Give a Dict's parts in their order, which its own comparison ignores."""
    return list(space.spaces.items()) if isinstance(space, spaces.Dict) else space


def assert_same_tensors(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert torch.equal(torch.as_tensor(ours[name]), torch.as_tensor(value)), name
