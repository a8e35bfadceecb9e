"""How to train in an environment, whoever says it: a table, a file, or the user."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Normalizer
from sb3port.errors import UsageError, did_you_mean
from sb3port.ppo.hyperparameters import Hyperparameters, changed

DEFAULT_STEPS = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How to train.

    Args:
        source: Where it is from, in words.
        n_timesteps: Environment steps.
        n_envs: How many environments.
        policy: SB3's name of the policy, None for the one that fits the observations.
        normalize: Arguments of VecNormalize, None for no VecNormalize.
        policy_kwargs: SB3's, with classes by their names.
        settings: Hyperparameters that are not SB3's defaults.
        environment: Arguments and wrappers of the environment.
    """

    source: str
    n_timesteps: int = DEFAULT_STEPS
    n_envs: int = 1
    policy: str | None = None
    normalize: Mapping[str, Any] | None = None
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)

    def hyperparameters(self, base: Hyperparameters, given: Mapping[str, Any]) -> Hyperparameters:
        """Give the settings of the plan with the user's own in them."""
        return changed(changed(base, self.settings, self.source), given, "the command line")

    def normalizer(self, gamma: float) -> Normalizer | None:
        """Give what VecNormalize would be made with; it discounts as the training does, as in rl_zoo3.

        Raises:
            UsageError: VecNormalize has no such argument.
        """
        if self.normalize is None:
            return None
        given = {"gamma": gamma, **vec_normalize_flags(self.normalize, self.source)}
        return Normalizer(None, None, **given)

    @property
    def norm_obs_keys(self) -> tuple[str, ...] | None:
        """Which parts of a Dict observation are normalised, None for all."""
        keys = (self.normalize or {}).get("norm_obs_keys")
        return None if keys is None else tuple(map(str, keys))


def vec_normalize_flags(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Give those of VecNormalize's arguments that a `Normalizer` has.

    Raises:
        UsageError: VecNormalize has no such argument.
    """
    known = set(vars(Normalizer(None, None))) - {"obs_rms", "ret_rms"} | {"norm_obs_keys"}
    if unknown := sorted(set(given) - known):
        raise UsageError(
            f"normalize_kwargs of {where} has {', '.join(unknown)}, which is not supported",
            did_you_mean(unknown[0], known, f"known: {', '.join(sorted(known))}"),
        )
    return {name: value for name, value in given.items() if name != "norm_obs_keys"}


def with_options(plan: Plan, given: Mapping[str, Any]) -> Plan:
    """Give a plan with fields replaced by what the user gave, None where nothing was."""
    return replace(plan, **{name: value for name, value in given.items() if value is not None})
