"""Trains with rl_zoo3 and publishes with its `push_to_hub`, whose git traffic is replaced by an upload.

It clones and pushes by git (`huggingface_hub.Repository`), which the loopback Hub does not speak; everything
that it puts into the repository is its own doing. Runs where rl_zoo3 is, which sb3port is not.
"""

import runpy
import sys
from pathlib import Path
from typing import Any

import huggingface_hub


class Repository:
    """A folder in place of a clone."""

    def __init__(self, local_dir: str, clone_from: str) -> None:
        self.folder, self.repo_id = Path(local_dir), "/".join(str(clone_from).split("/")[-2:])
        self.folder.mkdir(parents=True)

    def git_pull(self, **_: Any) -> None:
        """There is nothing to pull."""

    def lfs_track(self, *_: Any) -> None:
        """The Hub decides what is large."""

    def push_to_hub(self, commit_message: str) -> None:
        huggingface_hub.upload_folder(
            repo_id=self.repo_id, folder_path=self.folder, commit_message=commit_message
        )


def command(module: str, *arguments: str) -> None:
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    """Train PPO on a normalised Pendulum, with snapshots and evaluations, and publish it."""
    huggingface_hub.Repository = Repository
    of_run = ["--algo", "ppo", "--env", "Pendulum-v1", "-f", "logs"]
    hyperparams = ["n_envs:2", "n_steps:64", "batch_size:32", "normalize:True", "n_epochs:1"]
    training = ["-n", "256", "--save-freq", "128", "--eval-freq", "128", "--eval-episodes", "1"]
    command("rl_zoo3.train", *of_run, *training, "-params", *hyperparams)
    command("rl_zoo3.push_to_hub", *of_run, "-orga", "zoo", "--no-render")


main()
