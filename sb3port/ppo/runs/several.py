"""What a training does otherwise in several processes: each has its share of the environments.

They learn from all of them: `engines` from the mean of the gradients of all, the normaliser from the rows of
all. What one process logs is put together here.
"""

import json
from collections import deque
from dataclasses import replace

import numpy as np

from sb3port.errors import UsageError
from sb3port.ppo.engines.base import UpdateStatistics
from sb3port.ppo.ranks.base import Ranks
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.random_state import set_seed
from sb3port.ppo.runs.collecting import Collector
from sb3port.ppo.runs.settings import RunSettings

_SEEDS = 2**32


def check_shares(settings: RunSettings, ranks: Ranks) -> None:
    """Refuse what does not divide among the processes.

    Raises:
        UsageError: The environments do not, or a minibatch does not.
    """
    for name, total in (("n_envs", settings.n_envs), ("batch_size", settings.hyperparameters.batch_size)):
        if total % ranks.size:
            nearest = max(1, round(total / ranks.size)) * ranks.size
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{name} is {total:,}, of all processes together, which does not divide among {ranks.size}",
                f"take {option} {nearest}, or another number of processes",
            )


def share_of(settings: RunSettings, ranks: Ranks) -> RunSettings:
    """Give settings with the environments of this process alone, to make them by."""
    return replace(settings, n_envs=settings.n_envs // ranks.size)


def agreed(settings: RunSettings, ranks: Ranks) -> RunSettings:
    """Settle the seed where there is none: several processes begin with one policy."""
    if ranks.size == 1 or settings.seed is not None:
        return settings
    drawn = np.random.SeedSequence().generate_state(1)[0]
    return replace(settings, seed=int(ranks.of_first(str(drawn))))


def own_seed(seed: int | None, ranks: Ranks, count: int) -> int | None:
    """Give the seed of this process's first environment of `count`, as one process with all has them."""
    return None if seed is None else seed + ranks.rank * count


def draw_apart(ranks: Ranks, *numbers: int | None) -> None:
    """Let what each process but the first draws follow from some numbers and from which one it is."""
    if ranks.rank:
        entropy = [*(number or 0 for number in numbers), ranks.rank]
        set_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]) % _SEEDS)


def collect(collector: Collector, ranks: Ranks) -> Rollout:
    """Collect a rollout, and let every process know of the episodes of all."""
    if ranks.size == 1:
        return collector.collect()
    known = collector.progress.episodes
    collector.progress.episodes = deque(maxlen=known.maxlen)
    rollout = collector.collect()
    own = json.dumps(list(collector.progress.episodes)).encode()
    known.extend(_in_turn([json.loads(found) for found in ranks.gather(own)]))
    collector.progress.episodes = known
    return rollout


def _in_turn(
    episodes: list[list[tuple[float, int, bool | None]]],
) -> list[tuple[float, int, bool | None]]:
    """Put the episodes of all processes in one order, each as if its own had ended at even distances."""
    placed = [
        ((index + 1) / len(own), rank, tuple(episode))
        for rank, own in enumerate(episodes)
        for index, episode in enumerate(own)
    ]
    return [episode for _, _, episode in sorted(placed, key=lambda place: place[:2])]  # type: ignore[misc]


def overrides_of_first(overrides: dict[str, float | None], ranks: Ranks) -> dict[str, float | None]:
    """Give what callbacks, which only the first process has, put in place of schedules."""
    if ranks.size == 1:
        return overrides
    found: dict[str, float | None] = json.loads(ranks.of_first(json.dumps(overrides)))
    return found


def means_of_all(found: UpdateStatistics, ranks: Ranks) -> UpdateStatistics:
    """Give the means over all processes, whose minibatches are as large."""
    if ranks.size == 1:
        return found
    known = {name: value for name, value in vars(found).items() if value is not None}
    numbers = np.array([*known.values()], np.float64)
    ranks.mean(numbers)
    means = dict(zip(known, numbers.tolist(), strict=True))
    return UpdateStatistics(**{**means, "epochs": found.epochs})


def explained_variance(rollout: Rollout, ranks: Ranks) -> float | None:
    """`1 - Var(returns - values) / Var(returns)`; None where the returns do not vary."""
    errors = rollout.returns - rollout.values
    if ranks.size == 1:
        spread, rest = float(np.var(rollout.returns)), float(np.var(errors))
    else:
        powers = [
            array.astype(np.float64) ** power for array in (rollout.returns, errors) for power in (1, 2)
        ]
        sums = np.array([power.mean() for power in powers])
        ranks.mean(sums)
        spread, rest = float(sums[1] - sums[0] ** 2), float(sums[3] - sums[2] ** 2)
    return None if spread == 0 else 1 - rest / spread
