"""PushT, from an environment of its own: trained in by name, and evaluated by the real `lerobot-eval`."""

import json
from pathlib import Path

import pytest
import torch

from tests.interop.environments import ROOT, environment, run

pytestmark = pytest.mark.interop

PACKAGES = (
    "--editable",
    f"{ROOT}[torch]",
    "--editable",
    f"{ROOT / 'lerobot_policy_ppo'}[eval]",
    "lerobot[pusht]",
    f"torch=={torch.__version__.partition('+')[0]}",
)
FIELDS = ("--env.type=pusht", "--env.episode_length=40")
TINY = "--steps 256 --n-envs 2 --n-steps 64 --batch-size 64 --n-epochs 2 --eval-episodes 2 --use-sde"
SQUASHED = "dict(squash_output=True, net_arch=[16], features_extractor_kwargs=dict(cnn_output_dim=8))"
SEED, EPISODES = 1000, 2


@pytest.mark.parametrize(
    "kind",
    ["environment_state_agent_pos", pytest.param("pixels_agent_pos", marks=pytest.mark.thorough)],
)
def test_lerobot_eval_gives_the_returns_of_the_training_environment(kind: str, tmp_path: Path) -> None:
    """The images, too; convolutions of another layout differ in the last bits."""
    python, fields = environment("pusht", PACKAGES), (*FIELDS, f"--env.obs_type={kind}")
    train = ("-m", "sb3port", "train", *fields, *TINY.split(), "--policy-kwargs", SQUASHED, "--out", "run")
    run(python, *train, cwd=tmp_path)
    rows = (tmp_path / "run" / "progress.jsonl").read_text().splitlines()
    assert "rollout/success_rate" in json.loads(rows[-1])
    more = ("--seed", str(SEED), "--episodes", str(EPISODES), "--last", "--json")
    ours = json.loads(run(python, "-m", "sb3port", "eval", "run", *fields, *more, cwd=tmp_path))
    run(
        python,
        python.with_name("lerobot-eval"),
        "--policy.path=run/checkpoints/last/pretrained_model",
        "--policy.device=cpu",
        *fields,
        f"--eval.n_episodes={EPISODES}",
        "--eval.batch_size=1",
        f"--seed={SEED}",
        "--output_dir=out",
        cwd=tmp_path,
        HF_HUB_OFFLINE="1",
    )
    found = json.loads((tmp_path / "out" / "eval_info.json").read_text())["per_task"][0]["metrics"]
    assert found["sum_rewards"] == pytest.approx([row["return"] for row in ours["episodes"]], rel=1e-4)
    assert found["successes"] == [row["success"] for row in ours["episodes"]]


@pytest.mark.thorough
def test_a_vector_alone_is_trained_on(tmp_path: Path) -> None:
    python = environment("pusht", PACKAGES)
    train = ("-m", "sb3port", "train", *FIELDS, "--env.obs_type=state", *TINY.split(), "--out", "run")
    run(python, *train, cwd=tmp_path)
    features = json.loads((tmp_path / "run/checkpoints/last/pretrained_model/config.json").read_text())
    assert features["input_features"] == {"observation.state": {"type": "STATE", "shape": [5]}}
