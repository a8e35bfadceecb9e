"""What fine-tuning can begin with: demonstrations to clone, a critic that learns first, a policy to be near.

The names are those that others have for it: `demonstrations` is imitation's, `critic_warmup` verl's, and
`kl_coef` TRL's.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.errors import UsageError
from sb3port.ppo.engines.frozen import shared
from sb3port.ppo.ranks.base import Ranks
from sb3port.ppo.runs.settings import RunSettings

EPOCHS = 10  # over demonstrations


@dataclass(frozen=True)
class Recipe:
    """How a training begins.

    Args:
        critic_warmup: Environment steps in which the critic and the normaliser alone learn.
        kl_coef: Weight of the divergence from the policy that PPO begins with.
        demonstrations: What `sb3port record` wrote, to be cloned before PPO begins; None for nothing.
        bc_epochs: Passes over it, None for `EPOCHS`.
    """

    critic_warmup: int = 0
    kl_coef: float = 0.0
    demonstrations: Path | None = None
    bc_epochs: int | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """What of it `RunSettings` keeps as it is."""
        clones = self.demonstrations is not None
        return {
            "kl_coef": self.kl_coef,
            "demonstrations": self.demonstrations.name if self.demonstrations else None,
            "bc_epochs": (self.bc_epochs or EPOCHS) if clones else 0,
        }


def check_recipe(recipe: Recipe, is_new: bool) -> None:
    """Refuse what cannot be done, before anything is loaded.

    Args:
        recipe: What the user asked for.
        is_new: Whether the policy begins from scratch.

    Raises:
        UsageError: It is no number that there can be, or something is missing that it needs.
    """
    numbers = {"critic_warmup": recipe.critic_warmup, "kl_coef": recipe.kl_coef}
    for name, value in numbers.items():
        if not math.isfinite(value) or value < 0:
            raise UsageError(f"{name} is {value}, but it must be 0 or more")
    if recipe.bc_epochs is not None and recipe.bc_epochs < 1:
        raise UsageError(f"bc_epochs is {recipe.bc_epochs}, but it must be at least 1")
    if recipe.demonstrations is None:
        if recipe.bc_epochs is not None:
            raise UsageError("bc_epochs are passes over demonstrations, and there are none", _RECORD)
        if recipe.kl_coef and is_new:
            raise UsageError(
                "kl_coef keeps a policy near the one that it began as, and a new one knows nothing",
                "fine-tune a port, or name demonstrations that are cloned first",
            )
    elif not recipe.demonstrations.exists():
        raise UsageError(f"{recipe.demonstrations} is not there to be cloned", _RECORD)


_RECORD = "record some: sb3port record PORT --out demonstrations.npz"


def check_policy_of(recipe: Recipe, spec: PolicySpec, ranks: Ranks) -> None:
    """Refuse what a policy, or several processes, cannot do.

    Raises:
        UsageError: The policy has a memory, which neither the cloned nor the reference policy is given; or
            several processes would clone.
    """
    if spec.lstm_hidden_size is not None:
        for name, wanted in (("kl_coef", recipe.kl_coef), ("demonstrations", recipe.demonstrations)):
            if wanted:
                raise UsageError(
                    f"{name} is not for recurrent policies: what they do depends on what they remember",
                    "leave it out; --critic-warmup, a lower --learning-rate and --target-kl are for all",
                )
    if recipe.demonstrations is not None and ranks.size > 1:
        raise UsageError(
            "demonstrations are cloned by one process alone",
            "clone them in a short run of one process, and fine-tune that one in several",
        )


def of_statistics(run: RunSettings) -> list[str]:
    """Say where a new policy that cloned demonstrations will see other numbers than it learnt by."""
    if run.demonstrations is None or run.normalise is None or not run.normalise.norm_obs:
        return []
    return [
        "statistics of observations begin with the demonstrations and move on with what the policy sees, so "
        "that what was cloned soon sees other numbers: train without normalised observations, "
        'or normalise rewards alone: --normalize-kwargs "dict(norm_obs=False)"'
    ]


def warmup_in_words(steps: int, names: Iterable[str]) -> str:
    """Say what learns while the actor is frozen.

    Args:
        steps: How many environment steps that takes.
        names: Of all parameters of the policy.
    """
    both = shared(tuple(names))
    also = f"; {', '.join(both)}, which it shares with the actor, is frozen, too" if both else ""
    return f"the critic alone learns for {steps:,} steps{also}"
