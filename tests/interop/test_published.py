"""What the real huggingface_sb3 and rl_zoo3 publish to a Hub is pulled, ported and verified."""

import json
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3port
from sb3port.commands.convert import Conversion
from sb3port.commands.verify import verify
from sb3port.errors import UsageError
from tests.hub.hub_client import Client
from tests.hub.loopback import serve
from tests.hub.state import LoopbackHub
from tests.interop.environments import environment, run
from tests.ports import batch_of, port_of

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
PENDULUM = HERE.parents[1] / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"
PACKAGES = (
    "huggingface_sb3==3.0",  # wants huggingface_hub below 1
    "stable-baselines3==2.3.2",
    "sb3-contrib==2.3.0",
    "rl_zoo3==2.3.0",
    "gymnasium[classic-control]==0.29.1",
    "moviepy<2",
    "numpy<2",
    "torch==2.3.1",
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    """A Hub with what was published, and with a log folder of rl_zoo3 and recorded actions beside it."""
    folder = tmp_path_factory.mktemp("published")
    python = environment("huggingface_sb3-3.0", PACKAGES, "3.11")
    (folder / "hub").mkdir()
    with serve(folder / "hub") as hub:
        hub.redirects = True
        variables = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_TOKEN": hub.token,
            "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "SDL_VIDEODRIVER": "dummy",
            "SDL_AUDIODRIVER": "dummy",
        }
        run(python, HERE / "publish_huggingface_sb3.py", folder / "actions.json", cwd=folder, **variables)
        run(python, HERE / "publish_rl_zoo3.py", cwd=folder, **variables)
        yield hub


@pytest.fixture(autouse=True)
def client(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client(monkeypatch, tmp_path / "home")
    client.point_to(hub.endpoint)
    return client


def files(done: Conversion) -> list[str]:
    read = done.checkpoint.provenance.files
    return [read["checkpoint"].name, *(file.name for role, file in read.items() if role == "statistics")]


def actions(port: Path, observation: list[float]) -> np.ndarray:
    policy = PPOPolicy.from_pretrained(port)
    preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=str(port))
    batch = preprocess(batch_of(np.asarray([observation], dtype=np.float32)))
    return postprocess(policy.select_action(batch)).numpy()


@pytest.mark.parametrize(
    ("repo", "expected", "env_id", "observation"),
    [
        ("student/ppo-CartPole-v1", "ppo-CartPole-v1.zip", "CartPole-v1", [0.1, -0.2, 0.03, 0.4]),
        (
            "student/a2c-PandaReachDense",
            "a2c-PandaReachDense.zip vec_normalize.pkl",
            "Pendulum-v1",
            [0.6, -0.8, 1.5],
        ),
        ("student/anything", "my_very_own_name.zip vec_normalize.pkl", "Pendulum-v1", [0.6, -0.8, 1.5]),
    ],
)
def test_huggingface_sb3(
    hub: LoopbackHub, tmp_path: Path, repo: str, expected: str, env_id: str, observation: list[float]
) -> None:
    done = port_of(Path(repo), tmp_path / "port")
    assert files(done) == expected.split()
    assert verify(tmp_path / "port").verdict == "bit-exact"
    recorded = json.loads((hub.root.parent / "actions.json").read_text())[env_id]
    found = actions(tmp_path / "port", observation)
    np.testing.assert_allclose(found.flatten(), np.asarray(recorded).flatten(), rtol=0, atol=1e-5)


def test_what_we_publish_is_pulled_by_huggingface_sb3(
    hub: LoopbackHub, client: Client, tmp_path: Path
) -> None:
    """That SB3 is of 2024, and its environment has NumPy 1."""
    client.log_in(hub.token)
    model = PPO.load(PENDULUM / "ppo-Pendulum-v1.zip", device="cpu")
    env = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")])
    normalizer = VecNormalize.load(str(PENDULUM / "vec_normalize.pkl"), env)
    sb3port.publish(model, "us/ppo-Pendulum-v1", env, vec_normalize=normalizer, episodes=1, film=False)
    observation = [0.6, -0.8, 1.5]
    expected = sb3port.load_policy("us/ppo-Pendulum-v1").predict(np.float32([observation]))[0]
    python = environment("huggingface_sb3-3.0", PACKAGES, "3.11")
    arguments = ("us/ppo-Pendulum-v1", "ppo-Pendulum-v1.zip", "vec_normalize.pkl", json.dumps(observation))
    variables = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    found = run(python, HERE / "load_from_hub.py", *arguments, cwd=tmp_path, **variables)
    np.testing.assert_allclose(json.loads(found.splitlines()[-1]), expected, rtol=0, atol=1e-5)
    done = port_of(Path("us/ppo-Pendulum-v1"), tmp_path / "port")
    assert files(done) == ["ppo-Pendulum-v1.zip", "vec_normalize.pkl"]


def test_package_to_hub_uploads_what_we_think(hub: LoopbackHub) -> None:
    repo = hub.repos["student/a2c-PandaReachDense"]
    tree = repo.commits[repo.refs["main"]]
    wanted = {
        "a2c-PandaReachDense.zip",
        "a2c-PandaReachDense/data",
        "vec_normalize.pkl",
        "config.json",
        "README.md",
    }
    assert set(tree) >= wanted


def test_rl_zoo3_on_the_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    tree = hub.repos["zoo/ppo-Pendulum-v1"].commits[hub.repos["zoo/ppo-Pendulum-v1"].refs["main"]]
    assert {"train_eval_metrics.zip", "config.yml", "args.yml", "ppo-Pendulum-v1/policy.pth"} <= set(tree)
    hub.requests.clear()
    done = port_of(Path("zoo/ppo-Pendulum-v1"), tmp_path / "port")
    assert files(done) == ["ppo-Pendulum-v1.zip", "vec_normalize.pkl"]
    asked = {request.path.rpartition("/")[2] for request in hub.requests if "/resolve/" in request.path}
    assert asked == {*files(done), "config.yml", "args.yml", "env_kwargs.yml"}
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    assert not any("another step" in warning for warning in done.checkpoint.warnings)


def test_unzipped_folder_of_a_repository(hub: LoopbackHub, tmp_path: Path) -> None:
    repo = hub.repos["zoo/ppo-Pendulum-v1"]
    tree = dict(repo.commits[repo.refs["main"]])
    del tree["ppo-Pendulum-v1.zip"], tree["train_eval_metrics.zip"]
    repo.commit(tree, "unzipped")
    done = port_of(Path("zoo/ppo-Pendulum-v1@unzipped"), tmp_path / "port")
    assert files(done) == ["ppo-Pendulum-v1/data", "vec_normalize.pkl"]
    assert verify(tmp_path / "port").verdict == "bit-exact"


def test_rl_zoo3_log_folder(hub: LoopbackHub, tmp_path: Path) -> None:
    logs = hub.root.parent / "logs"
    done = port_of(logs, tmp_path / "final", verify=False)
    assert files(done)[1:] == ["ppo/Pendulum-v1_1/Pendulum-v1/vecnormalize.pkl"]
    assert files(done)[0].endswith("Pendulum-v1.zip")
    run_folder = logs / "ppo" / "Pendulum-v1_1"
    assert files(port_of(run_folder, tmp_path / "run", verify=False))[0] == "Pendulum-v1.zip"
    early = port_of(run_folder / "rl_model_128_steps.zip", tmp_path / "early", verify=False)
    assert "may be of another step" in " ".join(early.checkpoint.warnings)
    (run_folder / "Pendulum-v1.zip").rename(run_folder / "other.zip")
    with pytest.raises(UsageError, match="several checkpoints"):
        port_of(run_folder, tmp_path / "ambiguous", verify=False)
