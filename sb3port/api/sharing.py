"""Sharing policies: `publish`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize

    from sb3port.commands.publishing.contents import Upload
    from sb3port.commands.publishing.uploading import Pushed


def publish(
    model: "BaseAlgorithm",
    repo_id: str,
    env: "str | gymnasium.Env[Any, Any] | VecEnv | None" = None,
    *,
    vec_normalize: "VecNormalize | None" = None,
    episodes: int = 10,
    seed: int = 0,
    film: bool = True,
    private: bool = False,
    create_pr: bool = False,
    dry_run: bool = False,
) -> "tuple[Upload, Pushed | None]":
    """Put a live SB3 model on the Hub, in one commit that LeRobot, SB3 and huggingface_sb3 take.

    It brings a verified port, a zip and a `vec_normalize.pkl` that today's SB3 loads, the parity report, an
    evaluation with its seeds, a film of the first episode, the settings of the training, and a model card.

    Args:
        model: A `PPO`, `A2C`, `TRPO`, `MaskablePPO` or `RecurrentPPO`.
        repo_id: Where it shall go, as `me/name`.
        env: What to evaluate it in, made by its id, or that id; None for the model's own.
        vec_normalize: Its statistics; None for those of the VecNormalize of the model's environment.
        episodes: How many are evaluated; 0 for no evaluation and no film.
        seed: Of the first episode; the next count up.
        film: Whether the first episode is filmed, where `sb3port[video]` is installed.
        private: Make a new repository a private one.
        create_pr: Propose the commit in a pull request.
        dry_run: Put all together, and push nothing.

    Returns:
        What goes up (`card`, `verdict`, and `files`, whose contents are temporary and gone by then), and what
        the push did, None in a dry run.

    Warns:
        UserWarning: What was left out, or is not as it was.

    Raises:
        sb3port.errors.Sb3portError: The model cannot be ported, `env` is none for it, or the Hub refuses.
    """
    import warnings

    from sb3port.commands.policies import read_options
    from sb3port.commands.publish import Packing, named_environment, packed, saved
    from sb3port.commands.publishing.uploading import check_name, push
    from sb3port.environments.given import around
    from sb3port.errors import need

    need("sb3", "sb3port.publish")
    check_name(repo_id)
    named = env if env is not None else model.get_env()
    env_id, kwargs = named_environment(named) if named is not None and episodes else (None, {})
    seeds = range(seed, seed + episodes)
    packing = Packing(read_options(sandbox=False), env_id, around(kwargs), seeds, film)

    def announce(stage: str, text: str) -> None:
        if stage == "warning":
            warnings.warn(text, stacklevel=3)

    name = repo_id.rpartition("/")[2]
    with (
        saved(model, vec_normalize, name) as folder,
        packed(str(folder), repo_id, packing, announce) as upload,
    ):
        return upload, None if dry_run else push(upload, private, create_pr)
