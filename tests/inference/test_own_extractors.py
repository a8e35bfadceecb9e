"""`load_policy` with features extractors of the user's own: named or registered, never on a file's word."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

import sb3port
from lerobot_policy_ppo import register_extractor
from sb3port.errors import NotPortable, UsageError
from sb3port.networks import own_extractors as own
from sb3port.parity.checks.checks import check_reload
from tests import own_extractors
from tests.ports import port_of

WAVES = "tests.own_extractors:Waves1"
SEEN = np.float32([[0.1, 0.2, 0.3], [-1.0, 0.5, 2.0]])


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_registered", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(own.VARIABLE, "")


def saved(path: Path, cls: type[Any] = own_extractors.Waves1, **arguments: Any) -> PPO:
    kwargs = {"features_extractor_class": cls, "features_extractor_kwargs": arguments, "net_arch": [8]}
    model = PPO(
        "MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8, policy_kwargs=kwargs, device="cpu", seed=0
    )
    model.save(path)
    return model


def same(policy: Any, model: PPO) -> bool:
    return np.array_equal(policy.predict(SEEN)[0], model.predict(SEEN, deterministic=True)[0])


@pytest.mark.parametrize("is_port", [True, False])
def test_the_user_names_or_registers_it(is_port: bool, tmp_path: Path) -> None:
    source = tmp_path / "model.zip"
    model = saved(source, features_dim=6)
    if is_port:
        source = port_of(source, tmp_path / "port", verify=False, extractor=WAVES).port
    with pytest.raises(UsageError, match="whose code is not part of it") as refused:
        sb3port.load_policy(source)
    assert f"extractor={WAVES!r}" in refused.value.hint
    assert same(sb3port.load_policy(source, extractor=WAVES), model)
    own._registered.clear()
    register_extractor(WAVES, own_extractors.Waves1)
    assert same(sb3port.load_policy(source), model)


def test_modes_and_several_in_one_process(tmp_path: Path) -> None:
    """Statistics of a batch are not those of the training; each policy has its own extractor."""
    models = {}
    for name, cls in (("Buffers", own_extractors.Buffers), ("Frozen", own_extractors.Frozen)):
        models[name] = saved(tmp_path / f"{name}.zip", cls)
        models[name].learn(8)
        models[name].save(tmp_path / f"{name}.zip")
    policies = {
        name: sb3port.load_policy(tmp_path / f"{name}.zip", extractor=f"tests.own_extractors:{name}")
        for name in models
    }
    assert all(same(policies[name], model) for name, model in models.items())


@pytest.mark.parametrize("name", ["Waves1", "Doubled"])
def test_numpy_has_no_code_of_ones_own(name: str, tmp_path: Path) -> None:
    """Also where it has no tensors, by which it would show."""
    arguments = {"features_dim": 6} if name == "Waves1" else {}
    saved(tmp_path / "model.zip", getattr(own_extractors, name), **arguments)
    with pytest.raises(
        UsageError, match=f"the numpy backend has no .* such as this policy's .*:{name}"
    ) as refused:
        sb3port.load_policy(tmp_path / "model.zip", "numpy", extractor=f"tests.own_extractors:{name}")
    assert "backend='torch'" in refused.value.hint


def test_another_class_is_said_to_be_another(tmp_path: Path) -> None:
    source = tmp_path / "model.zip"
    saved(source, features_dim=6)
    with pytest.raises(UsageError, match="does not compute this policy"):
        sb3port.load_policy(source, extractor="tests.own_extractors:Plain")
    port = port_of(source, tmp_path / "port", verify=False, extractor=WAVES).port
    with pytest.raises(UsageError, match=f"needs {WAVES}"):
        sb3port.load_policy(port, extractor="tests.own_extractors:Plain")


def test_a_class_of_the_users_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SB3 puts its code into the zip; another process has another `__main__`, and is not asked."""
    cls = type("Mine", (own_extractors.Waves1,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Mine", cls, raising=False)
    model = saved(tmp_path / "model.zip", cls, features_dim=6)
    with pytest.raises(NotPortable, match="carries the code"):
        sb3port.load_policy(tmp_path / "model.zip")
    policy = sb3port.load_policy(tmp_path / "model.zip", extractor="__main__:Mine")
    assert same(policy, model)
    subject: Any = SimpleNamespace(checkpoint=SimpleNamespace(spec=policy.spec))
    (check,) = check_reload(subject)
    assert check.comparison.verdict == "skipped"
