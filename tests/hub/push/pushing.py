"""Pushing in tests, and looking at what is there then."""

from pathlib import Path
from typing import Any

from sb3port.commands.publishing.contents import prepare
from sb3port.commands.publishing.uploading import Pushed, push

from ..state import LoopbackHub

FIXTURES = Path(__file__).parents[3] / "fixtures" / "hub"
SOURCE, CARTPOLE = "sb3port/ppo-Pendulum-v1", "sb3port/ppo-CartPole-v1"
REPO = "loopback/pendulum"
PORT_FILES = {
    "README.md",
    "config.json",
    "model.safetensors",
    "policy_postprocessor.json",
    "policy_preprocessor.json",
    "policy_preprocessor_step_2_sb3port_vec_normalize.safetensors",
    "sb3port.json",
    "training_state/optimizer_param_groups.json",
    "training_state/optimizer_state.safetensors",
    "training_state/training_step.json",
}
RETURNS = {
    "schema": "sb3port.eval",
    "version": 1,
    "port": {"name": "port", "files": {}},
    "env": "Pendulum-v1",
    "wrappers": [],
    "episodes": [{"seed": seed, "return": -100.0 * seed, "length": 200} for seed in (3, 4, 5)],
}


def pushed(port: Path, repo: str = REPO, **options: Any) -> Pushed:
    said = {name: options.pop(name) for name in ("report_dir", "returns") if name in options}
    return push(prepare(port, repo, **said), **options)


def tree(hub: LoopbackHub, ref: str = "main", repo: str = REPO) -> dict[str, bytes]:
    files = hub.repos[repo]
    return {
        name: content for name, content in files.commits[files.refs[ref]].items() if name != ".gitattributes"
    }
