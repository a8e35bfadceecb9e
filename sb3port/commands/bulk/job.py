"""What a bulk run does with every model, and which model that is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.commands.policies import ReadOptions
from sb3port.files.staging import EXPORT, PORT, Kind
from sb3port.readers.places.source import SourceOptions


class Action(StrEnum):
    """What is done with every model."""

    CONVERT = "convert"
    REPAIR = "repair"
    EXPORT = "export"
    SCAN = "scan"


@dataclass(frozen=True)
class Job:
    """What is done with every model, and how.

    Args:
        action: What.
        target: Of an export, a key of `targets.TARGETS`; empty for others.
        verify: Whether what is written is compared with SB3's own classes.
        reload: Whether another process loads every port with LeRobot, too.
        episodes: How many episodes every port is evaluated for, in the environment of its training; 0 for
            none.
        use_stats: False to leave VecNormalize statistics out.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        sandbox: Whether a process with limits reads it; None for that where files come from the Hub.
        limits: What the limits of whatever is read are multiplied by.
        owner: Whose repositories ports are pushed to, as `owner/name`; empty for none.
        private: Whether new repositories are private.
    """

    action: Action = Action.CONVERT
    target: str = ""
    verify: bool = True
    reload: bool = False
    episodes: int = 0
    use_stats: bool = True
    assume_standard_forward: bool = False
    sandbox: bool | None = None
    limits: float = 1.0
    owner: str = ""
    private: bool = False

    @property
    def needs_torch(self) -> bool:
        """Whether torch and SB3 are worth importing before the first model comes."""
        return self.verify or self.episodes > 0 or self.target == "onnx"

    @property
    def kind(self) -> Kind:
        """What is written for every model."""
        return PORT if self.action is Action.CONVERT else EXPORT

    @property
    def options(self) -> dict[str, Any]:
        """What tells runs apart whose results are not of one kind: all that is not as it is by default."""
        told = {name: value for name, value in asdict(self).items() if name not in ("limits", "private")}
        return {
            name: value if not isinstance(value, Action) else value.value
            for name, value in told.items()
            if name == "action" or value != getattr(_DEFAULT, name)
        }


@dataclass(frozen=True)
class Item:
    """One model.

    Args:
        name: What the ledger calls it: a path below the folder that was named, or a place on the Hub.
        source: SOURCE, as `convert` takes it.
        dest: Where its result goes, below the folder of all results; a POSIX path.
        on_hub: Whether its files are yet to be fetched.
        filename: The checkpoint within the source, None where the source says enough.
        revision: Branch, tag or commit on the Hub.
    """

    name: str
    source: str
    dest: str = ""
    on_hub: bool = False
    filename: str | None = None
    revision: str | None = None

    def reading(self, job: Job) -> ReadOptions:
        """Say how it is read."""
        return ReadOptions(
            SourceOptions(self.filename, self.revision),
            job.use_stats,
            job.assume_standard_forward,
            sandbox=job.sandbox,
        )

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """One attempt at one model.

    Args:
        item: The model.
        attempt: Which one it is, from 1.
        folder: The empty folder that belongs to it alone, an absolute path.
    """

    item: Item
    attempt: int
    folder: str

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {"item": self.item.to_json(), "attempt": self.attempt, "folder": self.folder}


def task_of(content: Mapping[str, Any]) -> Task:
    """Read a task."""
    return Task(Item(**content["item"]), content["attempt"], content["folder"])


def member(item: Item, name: str, revision: str | None) -> Item:
    """Give one of several checkpoints of a repository."""
    return replace(item, name=f"{item.name}/{name}", dest="", filename=name, revision=revision)


_DEFAULT = Job()
