"""What SB3 and sb3-contrib save of several networks, ported, exported and given back, to the bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import ARS
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3port
from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.errors import Sb3portError
from sb3port.ports.reading import read_port
from tests.conformance.building import Stub, observe
from tests.conformance.replay_cases import LINEAR, REPLAY_CASES, replay_cases, saved_replay
from tests.conformance.test_conformance import assert_same_checkpoint
from tests.lerobot.test_saved_files import assert_same_files, saved_again
from tests.ports import port_of


@pytest.mark.parametrize("name", replay_cases())
def test_port_computes_what_sb3_computes(name: str, tmp_path: Path) -> None:
    model, normalizer = saved_replay(name, tmp_path / name)
    done = port_of(tmp_path / name, tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    compared = {check.output for check in done.report.checks}
    assert compared >= _outputs_of(model)
    _assert_acts_alike(model, normalizer, tmp_path / "port", observe(REPLAY_CASES[name].observation))
    _assert_same_parameters(model, done.checkpoint)
    again = read_port(tmp_path / "port")
    assert_same_checkpoint(again, done.checkpoint)
    assert {k: a.tobytes() for k, a in again.variables.items()} == {
        k: a.tobytes() for k, a in done.checkpoint.variables.items()
    }
    assert (
        set(again.optimizers)
        == set(done.checkpoint.optimizers)
        == set(_optimisers(model)) - {"policy.optimizer"}
    )


def _outputs_of(model: Any) -> set[str]:
    """Name what must have been compared: the critics and their targets, too."""
    policy, found = model.policy, {"mode", "action", "sample"}
    for name in ("critic", "q_net", "quantile_net"):
        if hasattr(policy, name):
            quantiles = hasattr(getattr(policy, name), "n_quantiles")
            found.add("quantiles" if quantiles else "q_value")
            if hasattr(policy, f"{name}_target"):
                found.add("target_quantiles" if quantiles else "target_q_value")
    found |= {"target_mode"} if hasattr(policy, "actor_target") else set()
    return found | (
        {"mean", "std", "log_prob"} if hasattr(getattr(policy, "actor", None), "action_dist") else set()
    )


def _assert_acts_alike(model: Any, normalizer: VecNormalize | None, port: Path, observations: Any) -> None:
    """`load_policy` gives SB3's own actions, and draws what it draws from the same noise."""
    normalized = normalizer.normalize_obs(observations) if normalizer else observations
    exact, near = (sb3port.load_policy(port, backend=backend) for backend in ("torch", "numpy"))
    expected = model.predict(normalized, deterministic=True)[0]
    found = exact.predict(observations)[0]
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert np.allclose(near.predict(observations)[0], expected, atol=1e-4)
    for seed in range(4):
        drawn = []
        for draws, space, shown in (
            (model, model.action_space, normalized),
            (exact, getattr(exact._network, "_choices", None), observations),
        ):
            if exact.spec.use_sde:
                torch.manual_seed(seed)
                (draws.policy if draws is model else draws).reset_noise(1)
            torch.manual_seed(seed)
            np.random.seed(seed)
            if space is not None:
                space.seed(seed)
            drawn.append(draws.predict(shown, deterministic=False)[0])
        assert np.array_equal(*drawn)


def _optimisers(model: Any) -> dict[str, torch.optim.Optimizer]:
    if isinstance(model, ARS):
        return {}
    learners = {f"{name}.optimizer": getattr(model.policy, name, None) for name in ("actor", "critic")}
    found = {name: module.optimizer for name, module in learners.items() if module is not None}
    if not found:
        return {"policy.optimizer": model.policy.optimizer}
    entropy = getattr(model, "ent_coef_optimizer", None)
    return found | ({} if entropy is None else {"ent_coef_optimizer": entropy})


def _assert_same_parameters(model: Any, checkpoint: Checkpoint) -> None:
    """The port has all of SB3's tensors once, and the states of all optimisers."""
    state = model.policy.state_dict()
    assert set(checkpoint.tensors) | set(checkpoint.provenance.ignored) == set(state)
    for name, array in checkpoint.tensors.items():
        assert torch.equal(torch.from_numpy(array.copy()), state[name])
    ours = dict(checkpoint.optimizers)
    if checkpoint.optimizer is not None:
        ours["policy.optimizer"] = checkpoint.optimizer
    theirs = _optimisers(model)
    assert ours.keys() == theirs.keys()
    for name, optimizer in theirs.items():
        rows = optimizer.state_dict()["state"]
        assert ours[name].count == len(optimizer.param_groups[0]["params"])
        assert ours[name].state.keys() == rows.keys()
        for number, row in rows.items():
            for key, value in row.items():
                assert torch.equal(
                    torch.as_tensor(np.array(ours[name].state[number][key])), torch.as_tensor(value)
                )


@pytest.mark.parametrize("name", replay_cases(("sac-sees-vector", "dqn-explores", "ars-choices")))
def test_repaired_model_learns_on_as_the_original(name: str, tmp_path: Path) -> None:
    """Actor, critics, targets, optimisers, entropy coefficient and counters are those that SB3 saved."""
    case = REPLAY_CASES[name]
    saved_replay(name, tmp_path / name)
    written = sb3port.export(tmp_path / name, tmp_path / "out", to="sb3")
    assert str(written.report.verdict) in ("bit-exact", "within noise")
    learned = []
    for folder in (tmp_path / name, tmp_path / "out"):
        env: Any = DummyVecEnv([lambda: Stub(case)])
        statistics = folder / "vec_normalize.pkl"
        env = VecNormalize.load(str(statistics), env) if statistics.is_file() else env
        model = case.algorithm.load(next(folder.glob("*.zip")), env=env, device="cpu")  # type: ignore[attr-defined]
        model.set_random_seed(0)
        case.observation.seed(5)
        case.action.seed(5)
        learned.append(model.learn(30, reset_num_timesteps=False))
    one, other = (model.policy.state_dict() for model in learned)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert learned[0].num_timesteps == learned[1].num_timesteps
    assert learned[0]._n_updates == learned[1]._n_updates


@pytest.mark.parametrize("name", replay_cases(("td3-normalized",)))
def test_loaded_model_learns_on_as_the_original(name: str, tmp_path: Path) -> None:
    case = REPLAY_CASES[name]
    model, _ = saved_replay(name, tmp_path / name)
    env: Any = DummyVecEnv([lambda: Stub(case)])
    again = sb3port.load_model(tmp_path / name, env=env, device="cpu").model
    assert type(again) is type(model)
    original, copy = model.policy.state_dict(), again.policy.state_dict()
    assert all(torch.equal(original[key], copy[key]) for key in original)
    again.learn(30, reset_num_timesteps=False)
    assert again.num_timesteps > model.num_timesteps


@pytest.mark.parametrize("to", ["onnx", "torch", "numpy"])
@pytest.mark.parametrize("name", replay_cases(()))
def test_exports_act_alike(name: str, to: str, tmp_path: Path) -> None:
    saved_replay(name, tmp_path / name, learns=False)
    report = sb3port.export(tmp_path / name, tmp_path / "out", to=to).report
    assert str(report.verdict) in ("bit-exact", "within noise")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "to", "outputs"),
    [
        ("sac-gsde", "onnx", ["action", "q_value"]),
        ("qrdqn-sees-vector", "torch", ["action", "q_value", "quantiles"]),
        ("tqc-sees-vector", "onnx", ["quantiles"]),
        ("crossq-sees-vector", "numpy", ["action"]),
        ("ddpg-one", "numpy", ["action"]),
        (LINEAR, "numpy", ["action"]),
    ],
)
def test_exports_give_what_is_asked(name: str, to: str, outputs: list[str], tmp_path: Path) -> None:
    saved_replay(name, tmp_path / name, learns=False)
    done = sb3port.export(tmp_path / name, tmp_path / "out", to=to, outputs=outputs)
    assert str(done.report.verdict) in ("bit-exact", "within noise")
    compared = {check.output for check in done.report.checks}
    assert set(outputs) - {"action"} <= compared


@pytest.mark.parametrize("output", ["value", "log_prob"])
def test_what_a_policy_has_not_is_not_exported(output: str, tmp_path: Path) -> None:
    saved_replay("sac-sees-vector", tmp_path / "model", learns=False)
    with pytest.raises(Sb3portError, match=f"policies of SAC have no {output}"):
        sb3port.export(tmp_path / "model", tmp_path / "out", to="torch", outputs=[output])


@pytest.mark.parametrize("name", replay_cases(("sac-gsde",)))
def test_port_saved_again_is_the_same(name: str, tmp_path: Path) -> None:
    """What is written without LeRobot is what LeRobot writes."""
    saved_replay(name, tmp_path / name, learns=False)
    port_of(tmp_path / name, tmp_path / "port", verify=False)
    saved_again(tmp_path / "port", tmp_path / "again")
    assert_same_files(tmp_path / "port", tmp_path / "again")


def test_a_critic_that_is_not_the_sources_is_noticed(tmp_path: Path) -> None:
    """The actor alone would act alike: critics and targets are compared, too."""
    from safetensors.numpy import load_file, save_file

    saved_replay("sac-sees-vector", tmp_path / "model", learns=False)
    port_of(tmp_path / "model", tmp_path / "port", verify=False)
    for name, output in (("critic.qf1.0.weight", "q_value"), ("critic_target.qf0.0.bias", "target_q_value")):
        tensors = load_file(tmp_path / "port" / "model.safetensors")
        tensors[name] = tensors[name] + np.float32(1e-2)
        save_file(tensors, tmp_path / "port" / "model.safetensors")
        report = sb3port.verify(tmp_path / "port", reload=False)
        assert str(report.verdict) == "fail"
        assert output in {check.output for check in report.checks if str(check.verdict) == "fail"}
