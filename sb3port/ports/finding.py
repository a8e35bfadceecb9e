"""Where a port is: a folder of its own, one among those that a training wrote, or a repository on the Hub.

A training, sb3port's or LeRobot's, writes `checkpoints/<steps>/pretrained_model`, which is a port. It keeps
links beside the checkpoints: `last` to the last one, `best` to the one with the highest return.
"""

from dataclasses import dataclass
from pathlib import Path

from sb3port.errors import NotPortable
from sb3port.files.budget import Cost, metered, spend
from sb3port.files.port_files import CARD, REPORTS, is_port, port_files
from sb3port.files.staging import CHECKPOINT, link_target
from sb3port.files.untrusted import read_json, refuse_outside
from sb3port.readers.places.hub import RepoFiles

CHECKPOINTS, PORT, STATE, LAST, BEST = "checkpoints", "pretrained_model", "training_state", "last", "best"


@dataclass(frozen=True)
class PortHere:
    """A port on this machine.

    Args:
        folder: Where it is.
        choice: A sentence on why it is this one of several, empty where there is only one.
    """

    folder: Path
    choice: str = ""


@metered
def port_here(place: Path, last: bool = False) -> PortHere | None:
    """Find the port that a folder is, or that a checkpoint in it or a run of several stands for.

    Args:
        place: A port, a checkpoint with one, a run, or the folder of its checkpoints.
        last: Take the last checkpoint of a run, not the one that its evaluations found to be the best.

    Returns:
        None where there is none.

    Raises:
        Unsafe: A link of a run leads out of it.
    """
    for folder in (place, place / PORT):
        if is_port(folder):
            return PortHere(folder)
    run = place / CHECKPOINTS if (place / CHECKPOINTS).is_dir() else place
    best, newest = _linked(run, BEST), _linked(run, LAST) or _highest(run)
    taken = newest if last or best is None else best
    if taken is None:
        return None
    return PortHere(taken / PORT, f"{taken / PORT} is {_which(taken, best, newest, last)}")


def fetch_port(repo: RepoFiles) -> Path:
    """Bring a port into the cache without card and reports; give its folder, or raise as `download` does."""
    return repo.fetch([name for name in port_files(repo.names) if name not in (CARD, *REPORTS)])


def _linked(run: Path, name: str) -> Path | None:
    """Give the checkpoint that a link in a run leads to; a copy of the run may have a folder there."""
    folder = run / (link_target(run / name) or name)
    if not is_port(folder / PORT):
        return None
    refuse_outside(folder / PORT, run, f"{name} of {run}")
    return folder


def _highest(run: Path) -> Path | None:
    """Give the checkpoint with the most steps."""
    found: list[Path] = []
    for path in run.iterdir() if run.is_dir() else ():
        spend(Cost.FILES, 1, str(run))
        if path.name.isascii() and path.name.isdigit() and is_port(path / PORT):
            found.append(path)
    return max(found, key=lambda path: int(path.name), default=None)


def _which(taken: Path, best: Path | None, newest: Path | None, last: bool) -> str:
    if best is None:
        return "the last checkpoint of the run, which notes none as the best"
    if last:
        return "the last checkpoint of the run"
    value = _return_of(best)
    why = "" if value is None else f": its return was {value:.2f} with deterministic actions"
    other = "" if newest is None or newest == taken else f" (--last takes {newest.name})"
    return f"the best checkpoint of the run{why}{other}"


def _return_of(best: Path) -> float | None:
    """Give the return with which a checkpoint became the best of its run, None where it is not told."""
    try:
        found = read_json(best / CHECKPOINT.mark, within=best)["counters"]["best_return"]
    except (NotPortable, LookupError, TypeError):
        return None
    return found if isinstance(found, float) else None
