"""Several episodes side by side, for speed: environments step in turn, and a policy acts for all at once."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Protocol

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.environments.making import Env
from sb3port.environments.rollouts import Action, Episode, Step


class Crowd(Protocol):
    """Who acts in several episodes, each of which has a row of its own."""

    spec: PolicySpec

    def reset(self, seed: int) -> None:
        """Begin: forget all, and seed what is random."""

    def forget(self, row: int) -> None:
        """Begin another episode in a row."""

    def act(
        self, rows: Sequence[int], observations: Sequence[dict[str, Array]], masks: Sequence[Array | None]
    ) -> list[Action]:
        """Choose an action for each of some rows."""


def run_together(
    envs: Sequence[Env], crowd: Crowd, seeds: Sequence[int], use_masking: bool = True
) -> Iterator[tuple[int, Step]]:
    """Run one episode per seed.

    Every environment has its share of the episodes from the beginning, as in SB3's `evaluate_policy`: those
    that end early do not get more of them, which would make short episodes count more.

    Args:
        envs: Alike.
        crowd: Who acts.
        seeds: One per episode.
        use_masking: As `run_episode` takes it.

    Yields:
        Seeds, each with a step of its episode.
    """
    shares, running = _shares(seeds, len(envs)), dict[int, tuple[int, Episode]]()
    crowd.reset(seeds[0])

    def begin(row: int) -> None:
        running.pop(row, None)
        if (seed := next(shares[row], None)) is not None:
            crowd.forget(row)
            running[row] = (seed, Episode(envs[row], crowd.spec, seed, use_masking=use_masking))

    for row in range(len(envs)):
        begin(row)
    while running:
        now = list(running.items())
        episodes = [episode for _, (_, episode) in now]
        rows, seen = [row for row, _ in now], [episode.observation for episode in episodes]
        with ExitStack() as stack:
            for episode in episodes:
                stack.enter_context(episode.naming_faults())
            actions = crowd.act(rows, seen, [episode.mask for episode in episodes])
        for (row, (seed, episode)), action in zip(now, actions, strict=True):
            yield seed, episode.take(action)
            if episode.done:
                begin(row)


def _shares(seeds: Sequence[int], count: int) -> list[Iterator[int]]:
    """Deal seeds out as evenly as SB3's `evaluate_policy` does, the last environments first."""
    rest = iter(seeds)
    return [iter(list(islice(rest, (len(seeds) + row) // count))) for row in range(count)]
