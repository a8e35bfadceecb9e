"""What SB3 of every age recorded, in numpy alone: by `load_policy`, and by the exported module."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.commands.policies import read_policy
from sb3port.exports.graphs import GraphOptions
from sb3port.exports.numpy_arrays import write_numpy
from sb3port.inference.policy import PortedPolicy
from tests.conformance.cases import sampled
from tests.golden.test_eras import ERAS, NAMES


@pytest.mark.parametrize("name", sampled(NAMES, 3))
def test_recorded_actions(name: str, tmp_path: Path) -> None:
    checkpoint = read_policy(ERAS / name)
    write_numpy(checkpoint, tmp_path / "policy.npz", GraphOptions())
    exported = runpy.run_path(str(tmp_path / "policy.py"))["load"]()
    with np.load(ERAS / name / "reference.npz") as file:
        seen = dict(file)
    scale = max(1.0, np.abs(seen["mode"]).max()) if seen["mode"].dtype == np.float32 else 1.0
    for policy in (PortedPolicy(checkpoint, "numpy"), exported):
        for action, expected in zip(*played(policy, seen), strict=True):
            assert action.shape == expected.shape
            assert np.abs(action - expected).max() <= 1e-5 * scale


def played(policy: Any, seen: dict[str, np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Step through what was recorded: a recurrent policy through its sequences together."""
    rows = {name[len("observation.") :]: a for name, a in seen.items() if name.startswith("observation")}
    steps, state, actions = 1, None, []
    if "initial_states" in seen:
        state = tuple(seen["initial_states"][:2])
        steps = len(seen["action"]) // state[0].shape[1]
    given = {"action_masks": seen["action_mask"]} if "action_mask" in seen else {}
    for step in range(steps):
        some = {key: array[step::steps] for key, array in rows.items()}
        starts = seen["episode_starts"][step::steps] if steps > 1 else None
        action, state = policy.predict(some.get("", some), state, starts, **given)
        actions.append(action)
    return actions, [seen["action"][step::steps] for step in range(steps)]
