"""Tensors under today's names, each once: aliases and compiled modules."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from sb3port.errors import NotPortable

from .making import read, save

IMAGE = spaces.Box(0, 255, (36, 36, 1), np.uint8)
WIDTH = {"net_arch": [4], "features_extractor_kwargs": {"features_dim": 4}}

State = dict[str, torch.Tensor]


def with_state(source: Path, dest: Path, change: Callable[[State], State]) -> Path:
    """Copy a zip with other tensors in it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(dest, "w") as new:
        for name in old.namelist():
            raw = old.read(name)
            if name == "policy.pth":
                buffer = io.BytesIO()
                torch.save(change(torch.load(io.BytesIO(raw), weights_only=True)), buffer)
                raw = buffer.getvalue()
            new.writestr(name, raw)
    return dest


@pytest.fixture
def cnn(tmp_path: Path) -> Path:
    return save(PPO, tmp_path / "cnn.zip", "CnnPolicy", IMAGE, policy_kwargs=dict(WIDTH))


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    kwargs = {**WIDTH, "share_features_extractor": False}
    return save(PPO, tmp_path / "apart.zip", "CnnPolicy", IMAGE, policy_kwargs=kwargs)


def test_aliases_are_left_out_with_their_reason(cnn: Path) -> None:
    checkpoint = read(cnn)
    assert checkpoint.spec.share_features_extractor
    assert len(checkpoint.provenance.ignored) == 16
    assert not any("pi_features" in name or "vf_features" in name for name in checkpoint.tensors)
    reason = checkpoint.provenance.ignored["vf_features_extractor.cnn.0.weight"]
    assert reason.startswith("the same tensor as features_extractor.cnn.0.weight")


def test_two_extractors_are_kept(apart: Path) -> None:
    checkpoint = read(apart)
    assert not checkpoint.spec.share_features_extractor
    assert {name.partition(".")[0] for name in checkpoint.provenance.ignored} == {"pi_features_extractor"}
    assert sum(name.startswith("vf_features_extractor.") for name in checkpoint.tensors) == 8


def test_a_class_that_hides_what_it_shares_is_told_by_its_tensors(apart: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(apart) as old, zipfile.ZipFile(tmp_path / "hidden.zip", "w") as new:
        for name in old.namelist():
            raw = old.read(name)
            new.writestr(
                name, raw.replace(b"share_features_extractor", b"ortho_init") if name == "data" else raw
            )
    assert not read(tmp_path / "hidden.zip").spec.share_features_extractor


def test_tensors_from_before_there_were_aliases(cnn: Path, tmp_path: Path) -> None:
    path = with_state(
        cnn, tmp_path / "old.zip", lambda s: {k: v for k, v in s.items() if not k.startswith(("pi_", "vf_"))}
    )
    old, new = read(path), read(cnn)
    assert old.provenance.ignored == {}
    assert list(old.tensors) == list(new.tensors)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: name.replace("extractor.", "extractor._orig_mod."),
        lambda name: f"_orig_mod.{name}".replace("policy_net.", "policy_net._orig_mod."),
    ],
)
def test_compiled(rename: Callable[[str], str], cnn: Path, tmp_path: Path) -> None:
    path = with_state(cnn, tmp_path / "compiled.zip", lambda s: {rename(k): v for k, v in s.items()})
    compiled, plain = read(path), read(cnn)
    assert list(compiled.tensors) == list(plain.tensors)
    assert compiled.provenance.ignored == plain.provenance.ignored


def _moved(prefix: str) -> Callable[[State], State]:
    def change(state: State) -> State:
        return {k: v + 1 if k.startswith(prefix) else v for k, v in state.items()}

    return change


WRONG: dict[str, tuple[Callable[[State], State], str]] = {
    "compiled and not": (
        lambda s: s | {f"_orig_mod.{k}": v for k, v in s.items()},
        "two tensors of one name",
    ),
    "an actor of its own": (_moved("pi_"), "pi_features_extractor.cnn.0.weight has no place"),
    "half an alias": (
        lambda s: {k: v for k, v in s.items() if k != "features_extractor.linear.0.bias"},
        "features_extractor.linear.0.bias",
    ),
    "an extractor more": (
        lambda s: s | {"features_extractor.norm.weight": s["log_std"]},
        "norm.weight has no",
    ),
    "a layer more": (
        lambda s: s | {"mlp_extractor.policy_net.1.weight": s["mlp_extractor.policy_net.0.weight"]},
        "policy_net.1.weight has no place",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_leftovers_are_listed(name: str, cnn: Path, tmp_path: Path) -> None:
    change, words = WRONG[name]
    with pytest.raises(NotPortable, match=words):
        read(with_state(cnn, tmp_path / "wrong.zip", change))


def test_two_extractors_that_claim_to_be_one(tmp_path: Path) -> None:
    kwargs = {**WIDTH, "share_features_extractor": True}
    path = save(PPO, tmp_path / "one.zip", "CnnPolicy", IMAGE, policy_kwargs=kwargs)
    with pytest.raises(NotPortable, match="two that differ"):
        read(with_state(path, tmp_path / "wrong.zip", _moved("vf_")))
