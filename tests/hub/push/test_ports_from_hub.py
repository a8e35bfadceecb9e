"""A port on the Hub is run from there: by the real LeRobot, and by sb3port."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

import sb3port
from sb3port.commands.convert import ConvertOptions, convert
from sb3port.commands.evaluate import evaluate_port
from sb3port.commands.policies import ReadOptions, find_policy, read_options, read_policy
from sb3port.commands.record import RecordOptions, record
from sb3port.commands.verify import VerifyOptions, verify
from sb3port.environments.rollouts import Setting
from sb3port.errors import NotPortable, SourceUnreachable, UsageError

from ..state import LoopbackHub
from .pushing import FIXTURES, PORT_FILES, REPO, SOURCE, pushed, tree


def test_lerobot_loads_it_from_the_hub(port: Path) -> None:
    pushed(port)
    batch = {"observation.state": torch.tensor([[1.0, 0.0, 0.5], [0.6, -0.8, 3.0]])}
    outputs = []
    for place in (REPO, str(port)):
        policy = PPOPolicy.from_pretrained(place)
        preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=place)
        observed = preprocess(dict(batch))
        outputs.append((postprocess(policy.select_action(observed)), policy.predict_values(observed)))
    for one, other in zip(*outputs, strict=True):
        assert torch.equal(one, other)


@pytest.mark.long
def test_lerobot_eval_and_the_code_of_the_card_run_from_the_hub(
    hub: LoopbackHub, port: Path, tmp_path: Path
) -> None:
    pushed(port)
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
    }
    environment.pop("HF_TOKEN")
    card = tree(hub)["README.md"].decode()
    (commands,) = re.findall(r"```sh\n(.*?)```", card, re.DOTALL)
    command = next(line for line in commands.splitlines() if line.startswith("lerobot-eval"))
    command = command.replace("n_episodes=10", "n_episodes=2") + f" --seed=7 --output_dir={tmp_path / 'out'}"
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    measured = json.loads((tmp_path / "out" / "eval_info.json").read_text())["per_task"][0]["metrics"]
    own = evaluate_port(port, Setting("Pendulum-v1", (7, 8)))
    assert measured["sum_rewards"] == pytest.approx(own.returns, rel=1e-9)


def test_code_of_the_card_runs(hub: LoopbackHub, port: Path) -> None:
    pushed(port)
    card = tree(hub)["README.md"].decode()
    lerobot, plain = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    found: dict[str, Any] = {"observation": np.array([1.0, 0.0, 0.5], np.float32)}
    exec(lerobot, found)
    assert found["action"].shape == (1, 1)
    exec(plain, found)
    assert found["action"].shape == (1,)


def test_ports_on_the_hub_are_ports_to_sb3port(hub: LoopbackHub, port: Path) -> None:
    first = pushed(port).commit
    hub.requests.clear()
    folder = find_policy(REPO).port
    assert folder is not None
    wanted = {name for name in PORT_FILES if name != "README.md"}
    assert {path.partition(f"{first}/")[2] for path in hub.downloaded} == wanted
    setting = Setting("Pendulum-v1", (0, 1))
    assert evaluate_port(folder, setting).returns == evaluate_port(port, setting).returns
    report = verify(Path(REPO), str(FIXTURES / SOURCE), VerifyOptions(reload=False))
    assert (report.verdict, report.port) == ("bit-exact", "pendulum")
    assert verify(Path(REPO), None, VerifyOptions(reload=False)).verdict == "inconclusive"
    for name in (f"{REPO}@{first}", f"hf://{REPO}"):
        assert find_policy(name).port == folder
        assert find_policy(Path(name)).port == folder
    assert read_policy(REPO).provenance.name == "ppo-Pendulum-v1"
    assert record(REPO, RecordOptions("Pendulum-v1", (0,))).policy == "port of ppo-Pendulum-v1"


def test_ports_on_the_hub_are_no_source(
    hub: LoopbackHub, port: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # away from the folder sb3port of this repository
    pushed(port)
    with pytest.raises(UsageError, match=f"{REPO} is a port already"):
        convert(REPO, tmp_path / "again", ConvertOptions(), lambda *_: None)
    with pytest.raises(UsageError, match="which holds one policy"):
        read_policy(REPO, ReadOptions(use_stats=False))
    with pytest.raises(NotPortable, match=r"config\.json is not"):
        read_policy(f"hf://{REPO}/config.json")
    with pytest.raises(SourceUnreachable, match="no such repository"):
        find_policy("loopback/nothing")


def test_a_repository_of_a_zip_is_a_policy_and_one_with_a_port_is_a_port(
    hub: LoopbackHub, port: Path, root: Path
) -> None:
    """Also where the zip lies beside it, unless it is named."""
    assert find_policy(SOURCE).source is not None
    ours, theirs = (sb3port.evaluate(place, "Pendulum-v1", episodes=1) for place in (port, SOURCE))
    assert ours.returns == theirs.returns
    assert sb3port.verify(SOURCE, reload=False, observations=["drawn"]).verdict == "bit-exact"
    shutil.copytree(port, root / SOURCE, dirs_exist_ok=True)
    hub.commit(SOURCE)
    assert find_policy(SOURCE).port is not None
    named = f"hf://{SOURCE}/{Path(SOURCE).name}.zip"
    assert (
        find_policy(named).port is find_policy(SOURCE, read_options(f"{Path(SOURCE).name}.zip")).port is None
    )


def test_paths_are_not_looked_for_on_the_hub(
    hub: LoopbackHub, port: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ports" / "present").mkdir(parents=True)
    for path in ("ports/present-", "absent", "../x/y", str(tmp_path / "a" / "b")):
        with pytest.raises(UsageError, match="neither a file or folder on this machine"):
            find_policy(path)
    assert hub.requests == []
