"""The `ppo` policy: Stable-Baselines3's ActorCriticPolicy as a LeRobot policy, number for number."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION
from safetensors import safe_open
from torch import Tensor, nn
from typing_extensions import Self, override

from lerobot_policy_ppo.configuration_ppo import PPOConfig
from sb3port.errors import NotPortable
from sb3port.files.port_files import CONFIG_FILE, POSTPROCESSOR_FILE, PREPROCESSOR_FILE
from sb3port.networks.actor_critic import ActorCritic, Batch
from sb3port.networks.weights import twins
from sb3port.ports.lerobot_folder import check_processors_of


class PPOPolicy(ActorCritic, PreTrainedPolicy):
    """An actor-critic policy that computes what SB3's and sb3-contrib's policies for PPO compute.

    What it computes, and how it is asked, is `sb3port.networks.actor_critic.ActorCritic`; this is how LeRobot
    makes, loads, calls and trains it.
    """

    config_class = PPOConfig
    name = "ppo"
    config: PPOConfig

    def __init__(self, config: PPOConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Build the networks with SB3's initialisation, drawing random numbers in SB3's order.

        Args:
            config: The configuration; spaces and features that it lacks are derived.
            **kwargs: What LeRobot passes to every policy (`dataset_stats`, `dataset_meta`); not needed.

        Raises:
            ValueError: The configuration is incomplete, contradictory or not supported.
        """
        PreTrainedPolicy.__init__(self, config)
        config.validate_features()
        self._build(config.spec)

    @classmethod
    def from_pretrained(
        cls, pretrained_name_or_path: str | Path, *, strict: bool = True, **kwargs: Any
    ) -> Self:
        """Load a policy from a folder or a Hub repository, as `PreTrainedPolicy.from_pretrained` does.

        Args:
            pretrained_name_or_path: Folder or Hub repository.
            strict: Refuse weights that do not fit; LeRobot's own default would leave missing ones random.
            **kwargs: See `PreTrainedPolicy.from_pretrained`.

        Raises:
            FileNotFoundError: The configuration or the weights are not there.
            ValueError: The weights do not fit the configuration, or processors lie beside them that are not
                those of this policy: LeRobot, which loads them next, would import and call what they name.
        """
        _refuse_other_processors(pretrained_name_or_path, kwargs)
        return super().from_pretrained(pretrained_name_or_path, strict=strict, **kwargs)

    @classmethod
    def _load_as_safetensor(cls, model: Self, model_file: str, map_location: str, strict: bool) -> Self:
        if strict and _check_weights(model, model_file):
            # Safetensors takes a tied parameter that is there under both of its names for an unknown one.
            strict = False
        return super()._load_as_safetensor(model, model_file, map_location, strict)

    @override
    @torch.no_grad()
    def select_action(self, batch: Batch, episode_starts: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Deterministic actions for LeRobot's postprocessor, which clips or unscales them.

        A recurrent policy remembers its rows from call to call, until `reset`.

        Args:
            batch: A preprocessed batch.
            episode_starts: Recurrent policies: `(B,)`, 1 or True for the rows that begin an episode, which
                alone forget what was before.
            **kwargs: What LeRobot may pass to any policy; not needed.

        Returns:
            `(B, A)` float32 for a Box, `(B, 1)` int64 for a Discrete, `(B, k)` int64 for the other two.

        Raises:
            ValueError: A recurrent policy got another number of rows than since the last `reset`.
        """
        return ActorCritic.select_action(self, batch, episode_starts)

    @override
    @torch.no_grad()
    def predict_action_chunk(self, batch: Batch, **kwargs: Any) -> Tensor:
        """`select_action` as a chunk of one action, `(B, 1, A)`."""
        return self.select_action(batch, **kwargs).unsqueeze(1)

    def forward(self, batch: Batch, reduction: str = "mean") -> tuple[Tensor, dict[str, float]]:
        """Behaviour-cloning loss, for lerobot-train: negative log-likelihood of the recorded actions.

        Args:
            batch: A preprocessed batch with `action`: what the environment took, `(B, A)`, for the discrete
                spaces of any number type.
            reduction: "mean", or "none" for one loss per row.

        Returns:
            The loss in nats, a scalar or `(B,)`, and numbers to log.

        Raises:
            ValueError: `reduction` is neither, or the policy is recurrent: batches hold no sequences.
        """
        if reduction not in ("mean", "none"):
            raise ValueError(f"reduction is {reduction!r}, but only 'mean' and 'none' are supported.")
        losses = self.negative_log_likelihood(batch, batch[ACTION])
        mean = losses.mean()
        return (mean if reduction == "mean" else losses), {"nll": mean.item()}

    def reset(self) -> None:
        """Forget the episodes so far; only recurrent policies remember any."""
        ActorCritic.reset(self)

    def get_optim_params(self) -> Iterator[nn.Parameter]:
        """All parameters, in SB3's order."""
        return self.parameters()


_FILES = (CONFIG_FILE, PREPROCESSOR_FILE, POSTPROCESSOR_FILE)
# Of those of `from_pretrained`, what says where a file on the Hub is.
_WHERE = ("revision", "cache_dir", "token", "local_files_only", "force_download")


def _refuse_other_processors(place: str | Path, options: Mapping[str, Any]) -> None:
    """Refuse a policy whose processors are not exactly those of its kind, before LeRobot loads them.

    Raises:
        ValueError: With the difference.
    """
    folder = Path(place) if Path(place).is_dir() else _fetch_processors(str(place), options)
    # Without any there are none to load.
    if folder is None or not all((folder / name).is_file() for name in _FILES):
        return
    try:
        check_processors_of(folder)
    except NotPortable as error:
        raise ValueError("; ".join(filter(None, (error.message, error.hint)))) from error


def _fetch_processors(repo_id: str, options: Mapping[str, Any]) -> Path | None:
    """Bring the files of a Hub repository that are checked into the cache; None where they are not there."""
    where = {name: options[name] for name in _WHERE if name in options}
    try:
        paths = [Path(hf_hub_download(repo_id, name, **where)) for name in _FILES]
    except (EntryNotFoundError, LocalEntryNotFoundError):
        return None
    return paths[0].parent


def _check_weights(model: PPOPolicy, model_file: str) -> bool:
    """Raise one ValueError that lists every tensor of a file that is missing, unknown or misshapen.

    Args:
        model: The policy.
        model_file: A safetensors file, of which only the header is read.

    Returns:
        Whether the policy has tied parameters, each of which may be there under one of its names or more.
    """
    expected = model.state_dict()
    with safe_open(model_file, framework="pt") as tensors:
        found = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    tied = twins(model, found)
    problems = [f"{key} is missing" for key in expected if key not in found and key not in tied]
    problems += [f"{key} is unknown" for key in found if key not in expected]
    problems += [
        f"{key} has shape {found[key]} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in found and found[key] != tuple(tensor.shape)
    ]
    if problems:
        raise ValueError(f"The weights in {model_file} do not fit its configuration: {'; '.join(problems)}.")
    return bool(tied)
