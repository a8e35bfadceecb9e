"""A robot needs the plugin, which brings sb3port with torch: no SB3."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from sb3port.commands.evaluate import evaluate_port
from sb3port.environments.rollouts import Setting
from tests.interop.environments import ROOT, environment, find_uv, run
from tests.ports import port_of

pytestmark = pytest.mark.interop
SOURCE = ROOT / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"
# What the environment must not hold, and how large it is.
LOOK = """
import importlib.metadata, json, pathlib, sys
names = sorted(d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions())
site = pathlib.Path(next(path for path in sys.path if path.endswith("site-packages")))
sizes = {p.name: sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in site.iterdir()}
print(json.dumps({"names": names, "sizes": sizes}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("dist")
    build = [find_uv(), "build", "--quiet", "--all-packages", "--wheel", "--out-dir", out]
    subprocess.run(build, cwd=ROOT, check=True, timeout=300)
    return {wheel.name.partition("-")[0]: wheel for wheel in out.glob("*.whl")}


def test_wheels_hold_the_packages_and_nothing_else(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            files = archive.namelist()
        assert {file.partition("/")[0].partition("-")[0] for file in files} == {name}
        assert f"{name}/py.typed" in files
    assert set(wheels) == {"sb3port", "lerobot_policy_ppo"}


def test_lerobot_eval_without_sb3(wheels: dict[str, Path], tmp_path: Path) -> None:
    packages = (
        f"lerobot_policy_ppo[eval] @ {wheels['lerobot_policy_ppo'].as_uri()}",
        f"sb3port[torch] @ {wheels['sb3port'].as_uri()}",
    )
    robot = environment("robot", packages)
    found = json.loads(run(robot, "-c", LOOK))
    assert not {"stable-baselines3", "sb3-contrib"} & set(found["names"])
    print_sizes(found["sizes"])
    port_of(SOURCE, tmp_path / "port", verify=False)
    out = tmp_path / "out"
    run(
        robot,
        robot.with_name("lerobot-eval"),
        f"--policy.path={tmp_path / 'port'}",
        "--env.type=gymnasium",
        "--env.task=Pendulum-v1",
        "--eval.n_episodes=1",
        "--eval.batch_size=1",
        "--eval.use_async_envs=false",
        "--eval.recording=true",  # which draws no frames
        "--seed=7",
        f"--output_dir={out}",
    )
    returns = json.loads((out / "eval_info.json").read_text())["per_task"][0]["metrics"]["sum_rewards"]
    assert returns == pytest.approx(evaluate_port(tmp_path / "port", Setting("Pendulum-v1", (7,))).returns)


def print_sizes(sizes: dict[str, int]) -> None:
    """Tell where the space goes, in MB; half of it is for graphics cards, wherever torch brings that."""
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    shown = ", ".join(f"{name} {size / 1e6:,.0f}" for name, size in largest)
    print(f"\nthe robot's packages take {sum(sizes.values()) / 1e6:,.0f} MB: {shown}, ...")  # noqa: T201 (for who reads the log)
