"""Returns that `sb3port eval --json` measured, read back from the file that they were written to."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sb3port.errors import NotPortable, UsageError
from sb3port.files.untrusted import read_json

SCHEMA, VERSION = "sb3port.eval", 1
_WRITTEN_BY = "write it with: sb3port eval PORT --json > returns.json"


@dataclass(frozen=True)
class Returns:
    """Undiscounted returns of a port, one episode for each seed.

    Args:
        env: The Gymnasium environment.
        seeds: One per episode.
        returns: Sum of the rewards of each episode.
        lengths: Steps of each episode.
        wrappers: What was put around the environment, innermost first.
        env_kwargs: Arguments of the environment.
        deterministic: Whether the most likely actions were taken.
        sb3: What SB3's own policy got on the same seeds, None where nobody asked.
        files: SHA-256 of files of the port that was run, by name.
    """

    env: str
    seeds: tuple[int, ...]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    wrappers: tuple[str, ...] = ()
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    deterministic: bool = True
    sb3: tuple[float, ...] | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean return."""
        return statistics.fmean(self.returns)

    @property
    def std(self) -> float:
        """Standard deviation of the returns, as SB3's `evaluate_policy` has it: that of the population."""
        return statistics.pstdev(self.returns)

    @property
    def seeds_text(self) -> str:
        """The seeds in words: "0 to 9" where they count up."""
        first, last = self.seeds[0], self.seeds[-1]
        if first != last and self.seeds == tuple(range(first, last + 1)):
            return f"{first} to {last}"
        return ", ".join(map(str, self.seeds))

    @property
    def identical(self) -> int:
        """In how many episodes SB3's policy got the very same return, where it was asked."""
        return sum(one == other for one, other in zip(self.returns, self.sb3 or self.returns, strict=True))


def read_returns(path: Path) -> Returns:
    """Read what `sb3port eval --json` printed.

    Raises:
        UsageError: It is absent, or something else.
    """
    try:
        content = read_json(path)
    except NotPortable as error:
        raise UsageError(error.message, _WRITTEN_BY) from error
    if not isinstance(content, dict) or (content.get("schema"), content.get("version")) != (SCHEMA, VERSION):
        raise UsageError(f"{path} does not hold what sb3port eval --json prints", _WRITTEN_BY)
    try:
        return _returns(content)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{path} is damaged: {error!r}", _WRITTEN_BY) from error


def _returns(content: Mapping[str, Any]) -> Returns:
    episodes, sb3 = content["episodes"], content.get("sb3")
    found = Returns(
        env=str(content["env"]),
        seeds=tuple(int(episode["seed"]) for episode in episodes),
        returns=tuple(float(episode["return"]) for episode in episodes),
        lengths=tuple(int(episode["length"]) for episode in episodes),
        wrappers=tuple(str(name) for name in content.get("wrappers", ())),
        env_kwargs=dict(content.get("env_kwargs", {})),
        deterministic=content.get("deterministic", True) is True,
        files=dict(content["port"]["files"]),
        sb3=None if sb3 is None else tuple(float(episode["return"]) for episode in sb3["episodes"]),
    )
    if not found.returns or not all(math.isfinite(value) for value in (*found.returns, *(found.sb3 or ()))):
        raise ValueError("there are no episodes, or a return is not finite")
    if found.sb3 is not None and len(found.sb3) != len(found.returns):
        raise ValueError("SB3's policy has not as many episodes as the port")
    return found
