"""What a checkpoint's files say, whether or not a policy can be made of them: what `inspect` shows.

A `Checkpoint` is whole, or there is none. Of a file that is refused this holds all that could be read of it
before, and why it is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sb3port.checkpoint.checkpoint import (
    Checkpoint,
    ConfiguredTraining,
    EnvironmentSpec,
    Normalizer,
    SourceFile,
)
from sb3port.checkpoint.spaces import Space

YES, PARTLY, NO = "yes", "partly", "no"


@dataclass(frozen=True)
class TensorEntry:
    """A tensor by its name.

    Args:
        member: The member of the zip, such as "policy.pth".
        name: As saved.
        shape: Its lengths.
        dtype: As NumPy calls it.
    """

    member: str
    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class ImportEntry:
    """A name in a pickle.

    Args:
        member: The member of the zip, such as "data" or "policy.pth"; or the file.
        field: The setting in `data`; empty elsewhere.
        name: What it names, or reaches by a call.
        group: One of "harmless", "inert", "own code" and "dangerous".
    """

    member: str
    field: str
    name: str
    group: str


@dataclass(frozen=True)
class Loading:
    """What `PPO.load` of today's SB3 makes of a file as it is, beside nothing but sb3-contrib.

    Args:
        problems: Sentences on what stops it, or ends the process, in the order in which SB3 meets them.
        losses: Sentences on what SB3 leaves out, with no more than a warning, or what does harm later.
        needs: Which NumPy it takes, empty where any will do.
        python: The Python for which that holds, such as "3.12": functions are pickled with their bytecode.
    """

    problems: tuple[str, ...]
    losses: tuple[str, ...]
    needs: str
    python: str

    @property
    def verdict(self) -> str:
        """Give "yes", "partly" (it loads, and is not what was saved) or "no"."""
        return NO if self.problems else PARTLY if self.losses else YES


@dataclass(frozen=True)
class Refusal:
    """Why no policy is made of a file.

    Args:
        kind: The name of the error's class, which has the exit code.
        message: What is wrong.
        hint: What to do, or None.
    """

    kind: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class Contents:
    """What the files of a checkpoint say.

    Args:
        files: Every file that was read, by role.
        algorithm: As SB3 calls the class that saved it, empty where nothing tells.
        policy_class: Dotted name of the policy's class, empty where there is none.
        sb3_version: Version that wrote it, None before SB3 0.9.
        system_info: The zip's `system_info.txt`.
        observation_space: None where it cannot be read.
        action_space: Likewise.
        settings: The settings of the algorithm under SB3's names, as plain values; schedules, classes and
            objects as texts.
        tensors: Those of every torch file in it.
        imports: Every name in every pickle.
        environment: What it was trained in, by the files beside it.
        configured: What rl_zoo3's `config.yml` says of the training.
        origins: Which file tells each field of the environment.
        normalizer: The statistics, where that is all that was read.
        loading: Whether today's SB3 loads it; None for what no SB3 is asked to load.
        checkpoint: The policy; without its statistics where these are what is missing.
        refusal: Why it is refused, None where it is not.
        unread: Sentences on parts that could not be read.
    """

    files: Mapping[str, SourceFile]
    algorithm: str = ""
    policy_class: str = ""
    sb3_version: str | None = None
    system_info: Mapping[str, str] = field(default_factory=dict)
    observation_space: Space | None = None
    action_space: Space | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tensors: tuple[TensorEntry, ...] = ()
    imports: tuple[ImportEntry, ...] = ()
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    configured: ConfiguredTraining | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    normalizer: Normalizer | None = None
    loading: Loading | None = None
    checkpoint: Checkpoint | None = None
    refusal: Refusal | None = None
    unread: tuple[str, ...] = ()
