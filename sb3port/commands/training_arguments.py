"""What `train` and `finetune` can be told, by whoever calls them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.environments.handed_over import OwnEnvironments
from sb3port.ppo.runs.recipes import Recipe

_PLAIN = Recipe()


@dataclass(frozen=True)
class RunOptions:
    """What both commands are told; None for what the user leaves open.

    Args:
        env: Gymnasium environment id.
        given: Hyperparameters by SB3's names.
        steps: Environment steps to do.
        n_envs: How many environments.
        normalize_kwargs: Arguments of VecNormalize, or their text, as Python writes a dictionary.
        save_every: Steps between checkpoints.
        config: A file of rl_zoo3's.
        run: Fields of `RunSettings` as they are.
        around: What the user says of the environment beside its id.
        own: Environments that a script hands over in place of an id.
        recipe: How it begins.
    """

    env: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    n_envs: int | None = None
    normalize_kwargs: str | Mapping[str, Any] | None = None
    save_every: int | None = None
    config: Path | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    around: Around = AS_IN_TRAINING
    own: OwnEnvironments | None = None
    recipe: Recipe = _PLAIN


class RunArguments(TypedDict, total=False):
    """What functions of the package hand on to `RunOptions`, all of it optional.

    `save_every`, `engine`, `device` and `vec_env` are as the options of the commands; so are `eval_every`,
    `eval_episodes`, `eval_seed` and `video_every`, and `demonstrations`, `bc_epochs`, `critic_warmup` and
    `kl_coef`. `track` names trackers, `use_masking=False` is `--no-masking`.
    """

    save_every: int | None
    engine: str
    device: str
    vec_env: str
    eval_every: int | None
    eval_episodes: int
    eval_seed: int
    video_every: int | None
    track: Sequence[str]
    use_masking: bool
    demonstrations: str | Path | None
    bc_epochs: int | None
    critic_warmup: int
    kl_coef: float


@dataclass(frozen=True)
class PolicyOptions:
    """What `train` is told of the new policy.

    Args:
        algorithm: "ppo", "ppo_mask" or "ppo_lstm".
        policy: SB3's name of the policy.
        policy_kwargs: SB3's, likewise.
        normalize: Whether to normalise.
    """

    algorithm: str = "ppo"
    policy: str | None = None
    policy_kwargs: str | Mapping[str, Any] | None = None
    normalize: bool | None = None
