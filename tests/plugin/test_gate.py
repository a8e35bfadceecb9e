"""LeRobot's commands load the policy first, which refuses a stranger's processors before they are loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

from tests.conftest import FIXTURES
from tests.ports import port_of

TOUCH = {"class": "subprocess.Popen", "config": {"args": ["touch", "ran"]}}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A port whose preprocessor runs a program, in whose folder we are."""
    monkeypatch.chdir(tmp_path)
    port = port_of(FIXTURES / "ppo-Pendulum-v1", tmp_path / "port", verify=False).port
    pipeline = port / "policy_preprocessor.json"
    content = json.loads(pipeline.read_text())
    content["steps"].insert(0, TOUCH)
    pipeline.write_text(json.dumps(content))
    return port


def test_from_pretrained_refuses(hostile: Path) -> None:
    with pytest.raises(ValueError, match="is not what sb3port writes"):
        PPOPolicy.from_pretrained(hostile)
    assert not Path("ran").exists()


@pytest.mark.long
def test_lerobot_eval_refuses(hostile: Path) -> None:
    command = [str(Path(sys.executable).with_name("lerobot-eval")), f"--policy.path={hostile}"]
    command += [
        "--env.type=gymnasium",
        "--env.task=Pendulum-v1",
        "--eval.n_episodes=1",
        "--eval.batch_size=1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode != 0
    assert "is not what sb3port writes" in done.stderr
    assert not Path("ran").exists()


def test_weights_alone_have_no_processors(hostile: Path) -> None:
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (hostile / name).unlink()
    assert PPOPolicy.from_pretrained(hostile).spec.use_sde
