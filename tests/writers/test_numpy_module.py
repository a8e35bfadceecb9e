"""Exported modules in NumPy: what is in their source, and what never is."""

import ast
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.spaces import Dict
from sb3port.commands.policies import read_policy
from sb3port.exports.graphs import GraphOptions
from sb3port.exports.numpy_arrays import write_numpy
from sb3port.exports.numpy_module import module_source
from sb3port.files.texts.names import module_name
from tests.conftest import FIXTURES

ERAS = FIXTURES.parents[1] / "eras"
KINDS = {
    "1.2.0/ppo-dict-statistics": ("Part", "Normalize", "Clip", "Linear", "Mlp", "flat", "tanh"),
    "2.9.2/ppo-cnn-rgb": ("Part", "ImagePart", "Linear", "Convolution", "NatureCnn", "pixels", "relu"),
    "2.9.2/ppo_lstm-two-layers": ("Part", "Normalize", "Linear", "Lstm", "flat"),
    "2.9.2/ppo_mask-multidiscrete": ("Part", "Linear", "Mlp", "LikeliestOfEach", "flat", "allowed"),
}
NASTY = ('"]\n    import os  # ', "`'''\"\"\"\\", "{{ keys }}")


def checkpoint(name: str) -> Checkpoint:
    return read_policy(ERAS / name)


@pytest.mark.parametrize("name", KINDS)
def test_they_hold_what_they_need_and_nothing_else(name: str, tmp_path: Path) -> None:
    outputs = ("action",) if "lstm" in name else ("action", "value")
    source = module_source(checkpoint(name), GraphOptions(outputs))
    tree = ast.parse(source, feature_version=(3, 8))
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert defined - called == {"load"}
    assert defined >= set(KINDS[name])
    assert not {"Lstm", "NatureCnn", "Normalize", "OneHot", "Unscale"} & defined - set(KINDS[name])
    assert ("action_masks" in source) == ("mask" in name)
    path = tmp_path / "policy.py"
    path.write_text(source, encoding="utf-8")
    for command in (("format", "--check"), ("check", "--select=E,W,F,I,N,UP", "--ignore=UP035")):
        words = [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length=110", str(path)]
        subprocess.run([*words, "--target-version=py38"], check=True, capture_output=True)


def test_nothing_that_a_file_says_is_in_them(tmp_path: Path) -> None:
    plain = checkpoint("1.2.0/ppo-dict-statistics")
    space, normalizer = plain.spec.observation_space, plain.normalizer
    assert isinstance(space, Dict)
    assert normalizer is not None
    names = dict(zip(space.spaces, NASTY, strict=False))
    renamed = replace(
        plain,
        spec=replace(plain.spec, observation_space=Dict({names[k]: v for k, v in space.spaces.items()})),
        normalizer=replace(normalizer, obs_rms={names[k]: v for k, v in normalizer.statistics.items()}),
        provenance=replace(plain.provenance, location="x\nimport os"),
    )
    assert module_source(renamed, GraphOptions()) == module_source(plain, GraphOptions())
    seen = {key: np.ones((2, *part.shape), np.float32) for key, part in space.spaces.items()}
    for one, observation in ((plain, seen), (renamed, {names[k]: v for k, v in seen.items()})):
        write_numpy(one, tmp_path / "policy.npz", GraphOptions())
        policy = runpy.run_path(str(tmp_path / "policy.py"))["load"]()
        assert np.isfinite(policy.predict(observation)[0]).all()


def test_what_they_refuse(tmp_path: Path) -> None:
    write_numpy(checkpoint("2.9.2/ppo_lstm-two-layers"), tmp_path / "policy.npz", GraphOptions())
    policy = runpy.run_path(str(tmp_path / "policy.py"))["load"]()
    for wrong, words in ((np.zeros(5), "has the shape"), (np.full(4, np.nan), "NaN")):
        with pytest.raises(ValueError, match=words):
            policy.predict(wrong)
    with pytest.raises(ValueError, match="no random actions"):
        policy.predict(np.zeros(4), deterministic=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ppo-Pendulum-v1", "ppo_Pendulum_v1"),
        ("2048", "policy_2048"),
        ("class", "policy_class"),
        ("json", "policy_json"),
        ("numpy", "policy_numpy"),
        ("a.b+\u00e9", "a_b__"),
    ],
)
def test_names_can_be_imported_and_hide_nothing(name: str, expected: str) -> None:
    assert module_name(name) == expected
