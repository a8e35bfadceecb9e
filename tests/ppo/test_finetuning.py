"""Fine-tuning goes on where the checkpoint stopped, as SB3 does after `PPO.load`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sb3_contrib.common.wrappers import TimeFeatureWrapper
from stable_baselines3 import A2C

from sb3port.commands.policies import find_policy
from sb3port.commands.train import begin_finetuning
from sb3port.commands.training_arguments import RunOptions
from sb3port.environments.given import Around
from sb3port.errors import NotPortable, UsageError
from sb3port.ports.reading import read_port
from sb3port.ppo.runs.running import Watcher, train
from sb3port.ppo.runs.trainer import Trainer
from tests.ports import port_of

from .cases import FINETUNED, SMALL
from .sb3 import Case, assert_same, finetune, finetune_sb3, run, save_sb3, train_sb3


def go_on(port: Path, env: str | None, warnings: list[str], **options: object) -> Trainer:
    return begin_finetuning(find_policy(port), RunOptions(env, **options), warnings.append)[0]


@pytest.mark.parametrize("case", FINETUNED.values(), ids=FINETUNED)
def test_it_is_what_sb3_does(case: Case, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    source = save_sb3(train_sb3(case), tmp_path / "model")
    trainer, warnings = finetune(case, source, tmp_path / "port")
    assert [text for text in warnings if "no time limit" not in text] == []
    assert_same(trainer, finetune_sb3(case, source))


def test_a_rate_of_zero_is_not_believed(tmp_path: Path) -> None:
    case = FINETUNED["linear schedules"]
    model = train_sb3(replace(case, settings=SMALL))
    model.learning_rate = 0.0
    port_of(save_sb3(model, tmp_path / "model"), tmp_path / "port", verify=False)
    warnings: list[str] = []
    trainer = go_on(tmp_path / "port", case.env, warnings, steps=64)
    assert trainer.settings.hyperparameters.learning_rate(1.0) == 3e-4
    (warning,) = warnings
    assert warning.startswith("learning_rate is 0 in the checkpoint, which no training had; SB3's default")
    warnings.clear()
    trainer = go_on(tmp_path / "port", case.env, warnings, steps=64, given={"learning_rate": "lin_1e-4"})
    assert (trainer.settings.hyperparameters.learning_rate(0.5), warnings) == (5e-5, [])


def test_ppo_goes_on_with_what_a2c_trained(tmp_path: Path) -> None:
    model = A2C("MlpPolicy", "Pendulum-v1", gamma=0.9, n_steps=8, seed=0, device="cpu").learn(64)
    port_of(save_sb3(model, tmp_path / "model"), tmp_path / "port", verify=False)
    warnings: list[str] = []
    trainer = go_on(tmp_path / "port", "Pendulum-v1", warnings, steps=64, given={"n_steps": 64})
    assert trainer.spec.algorithm == "ppo"
    assert trainer.settings.hyperparameters.gamma == 0.9
    assert "A2C trained this policy" in warnings[0]
    run(trainer)
    assert trainer.counters.num_timesteps == 128


def test_another_environment_is_refused(tmp_path: Path) -> None:
    port_of(
        save_sb3(train_sb3(FINETUNED["linear schedules"]), tmp_path / "model"),
        tmp_path / "port",
        verify=False,
    )
    with pytest.raises(UsageError, match=r"Pendulum-v1 has the observations .* trained with"):
        go_on(tmp_path / "port", "Pendulum-v1", [], steps=64)


def test_settings_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    case = FINETUNED["gSDE, normalised"]
    port_of(save_sb3(train_sb3(case), tmp_path / "model"), tmp_path / "port", verify=False)
    settings = go_on(tmp_path / "port", case.env, [], steps=1000).settings
    noted = json.loads((tmp_path / "port" / "sb3port.json").read_text())["training"]["hyperparameters"]
    for name in ("n_steps", "batch_size", "n_epochs", "gamma", "sde_sample_freq", "use_sde"):
        assert getattr(settings.hyperparameters, name) == noted[name] == {**SMALL, **case.settings}[name]
    assert (settings.n_envs, settings.until, settings.seed) == (2, 1512, 3)


TIME = "sb3_contrib.common.wrappers.TimeFeatureWrapper"
LOST = FINETUNED["linear schedules"]


def lost_port(folder: Path, config: str) -> Path:
    """The port of a model that was loaded with a placeholder, saved again, and lies beside a config.yml."""
    model = train_sb3(replace(LOST, settings=SMALL, normalise={}, n_envs=1))
    model.learning_rate = model.lr_schedule = 0.0
    model.get_vec_normalize_env().norm_reward = False
    source = save_sb3(model, folder / "model")
    (source / "config.yml").write_text(config)
    port_of(source, folder / "port", verify=False)
    return folder / "port"


def test_what_the_zip_has_lost_is_taken_from_config(tmp_path: Path) -> None:
    config = "learning_rate: lin_0.002\nn_steps: 32\nn_envs: 4\nnormalize: true\ngamma: 0.99\n"
    port = lost_port(tmp_path, config)
    warnings: list[str] = []
    settings = go_on(port, LOST.env, warnings, steps=512).settings
    assert settings.hyperparameters.learning_rate(0.5) == 0.001
    assert (settings.hyperparameters.n_steps, settings.n_envs) == (64, 4)
    assert settings.normalise is not None
    assert settings.normalise.norm_reward
    said = "\n".join(warnings)
    assert "learning_rate is 0 in the file" in said
    assert "training goes on with linear 0.002 to 0" in said
    assert "n_steps 64 (config.yml: 32)" in said
    assert "rewards are normalised, as config.yml says" in said
    warnings.clear()
    given = {"learning_rate": 1e-4, "n_steps": 16}
    kwargs = "dict(norm_reward=False)"
    settings = go_on(port, LOST.env, warnings, steps=512, given=given, normalize_kwargs=kwargs).settings
    assert (settings.hyperparameters.learning_rate(0.5), settings.hyperparameters.n_steps) == (1e-4, 16)
    assert settings.normalise is not None
    assert not settings.normalise.norm_reward
    assert [said for said in warnings if "rate" in said or "n_steps" in said or "rewards" in said] == []


def test_statistics_of_an_evaluation_are_doubted(tmp_path: Path) -> None:
    port = lost_port(tmp_path, "{}")
    (tmp_path / "model" / "config.yml").unlink()
    port_of(tmp_path / "model", port, verify=False, force=True)
    warnings: list[str] = []
    assert not go_on(port, LOST.env, warnings, steps=64).settings.normalise.norm_reward
    assert any('--normalize-kwargs "dict(norm_reward=True)"' in warning for warning in warnings)


def test_a_file_replaces_the_settings_of_the_checkpoint(tmp_path: Path) -> None:
    port = lost_port(tmp_path, "{}")
    file = tmp_path / "ppo.yml"
    file.write_text("CartPole-v1:\n  n_envs: 3\n  n_timesteps: !!float 1e4\n  learning_rate: lin_0.01\n")
    settings = go_on(port, LOST.env, [], config=file, given={"n_epochs": 7}).settings
    given = settings.hyperparameters
    assert (given.learning_rate(0.5), given.n_steps, given.n_epochs) == (0.005, 2048, 7)
    assert (settings.n_envs, settings.until) == (3, 512 + 10_000)
    assert go_on(port, LOST.env, [], config=file, steps=100).settings.until == 612
    noted = json.loads((port / "sb3port.json").read_text())
    noted["environment"]["env_id"] = LOST.env
    (port / "sb3port.json").write_text(json.dumps(noted))
    assert go_on(port, None, [], config=file).settings.env == LOST.env


def test_the_environment_is_wrapped_as_in_training(tmp_path: Path) -> None:
    case = replace(FINETUNED["gSDE, normalised"], wrapper=TimeFeatureWrapper)
    source = save_sb3(train_sb3(case), tmp_path / "model")
    (source / "config.yml").write_text(f"env_wrapper: {TIME}\nn_envs: 2\nnormalize: true\ngamma: 0.9\n")
    (source / "args.yml").write_text("env: Pendulum-v1")
    port = tmp_path / "port"
    port_of(source, port, verify=False)
    options = RunOptions(steps=128, run={"eval_episodes": 1})
    trainer, checkpoint = begin_finetuning(find_policy(port), options, lambda _: None)
    assert (trainer.settings.env, trainer.envs.observation_space.shape) == ("Pendulum-v1", (4,))
    outcome = train(trainer, checkpoint, tmp_path / "run", Watcher())
    again = read_port(outcome.last / "pretrained_model").environment
    assert (again.env_id, again.wrappers) == ("Pendulum-v1", checkpoint.environment.wrappers)
    with pytest.raises(UsageError, match=r"has the observations .* trained with"):
        begin_finetuning(
            find_policy(port),
            RunOptions(steps=128, around=Around(recorded=False), env="Pendulum-v1"),
            lambda _: None,
        )


def test_what_was_fine_tuned_is_remembered(tmp_path: Path) -> None:
    """Over two trainings, and in the model card."""
    model = A2C("MlpPolicy", "Pendulum-v1", n_steps=8, seed=0, device="cpu").learn(16)
    port = tmp_path / "port"
    port_of(save_sb3(model, tmp_path / "model"), port, verify=False)
    noted = json.loads((port / "sb3port.json").read_text())
    noted["source"] |= {"kind": "hub", "location": "sb3/a2c-Pendulum-v1", "revision": "0" * 40}
    (port / "sb3port.json").write_text(json.dumps(noted))
    for name in ("once", "twice"):
        options = RunOptions("Pendulum-v1", {"n_steps": 16}, 16, run={"eval_episodes": 0})
        trainer, checkpoint = begin_finetuning(find_policy(port), options, lambda _: None)
        port = train(trainer, checkpoint, tmp_path / name, Watcher()).last / "pretrained_model"
    provenance = read_port(port).provenance
    assert (provenance.kind, provenance.base_model) == ("training", ("sb3/a2c-Pendulum-v1", "0" * 40))
    card = (port / "README.md").read_text()
    assert "\nbase_model: sb3/a2c-Pendulum-v1\n" in card
    assert "trained in `Pendulum-v1`, from [`sb3/a2c-Pendulum-v1`](" in card
    noted = json.loads((port / "sb3port.json").read_text())
    noted["source"]["base"] = "nowhere](evil)"
    (port / "sb3port.json").write_text(json.dumps(noted))
    with pytest.raises(NotPortable, match="damaged"):
        read_port(port)
