"""What the names of files say: which of them are checkpoints, and which statistics go with which.

Pure functions on POSIX paths. The layouts are those of rl_zoo3, huggingface_sb3, SB3's callbacks, imitation,
and what people make of them.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

MEMBERS = (
    "data",
    "policy.pth",
    "policy.optimizer.pth",
    "pytorch_variables.pth",
    "tensors.pth",
    "_stable_baselines3_version",
    "system_info.txt",
)
STATISTICS = ("vec_normalize.pkl", "vecnormalize.pkl")
OLD_STATISTICS = "obs_rms.pkl"
# What rl_zoo3 and the Hub's model cards say of the training.
SETTINGS = ("config.yml", "args.yml", "env_kwargs.yml", "README.md")
# A zip of evaluation curves that rl_zoo3 uploads beside every model.
_NOT_CHECKPOINTS = frozenset({"train_eval_metrics.zip"})
# What a file without `.zip` is, so that nobody need look whether it is an SB3 zip all the same.
_KNOWN = re.compile(
    r"\.(bin|cfg|csv|gif|git\w+|gz|h5|html|ini|ipynb|jpe?g|json|log|md|mp4|np[yz]|onnx|pdf|pickle|pkl|png|pth?|py|rst"
    r"|safetensors|sh|tar|toml|txt|ya?ml)$|tfevents"
)
# Words of a name that say what a file is, and not which.
_GENERIC = re.compile(
    r"model|policy|agent|checkpoint|ckpt|rl|env|obs|rms|stats|statistics|vec_?norm(alize)?|vec|norm(alize[rd]?|alization)?"
)
_STEP = re.compile(r"(?:^|[^a-z0-9])(?:(\d+)[_-]?steps?|steps?[_-]?(\d+))(?![a-z0-9])")
_WORD = re.compile(r"[a-z0-9.]+")


@dataclass(frozen=True, eq=False)
class Candidate:
    """The file or files of one checkpoint.

    Args:
        name: The zip; or the file `data` of one that was unzipped.
        members: The members of an unzipped one, and the file that each lies in; empty for a zip.
    """

    name: str
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> PurePosixPath:
        """The path of the zip without `.zip`, also for one that was unzipped."""
        path = PurePosixPath(self.name)
        if not self.members:
            stem = path.name.removesuffix(".zip")
            return path if stem.strip(".") == "" else path.with_name(stem)
        return path.parent if path.name == "data" else path.with_name(path.name[: -len("_data")])

    @property
    def shown(self) -> str:
        """What to call it, and to give as `--filename`."""
        return str(self.place) if self.members and PurePosixPath(self.name).name == "data" else self.name

    @property
    def files(self) -> dict[str, str]:
        """The files by role: "checkpoint" for the zip or `data`, else the member."""
        others = {member: name for member, name in self.members.items() if member != "data"}
        return {"checkpoint": self.name, **others}


class Listing:
    """The names of a source's files, by what is asked of them: for each of many checkpoints, in very many.

    Args:
        names: Every file as a POSIX path.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.names = frozenset(names)
        self.pickles = pickles(names)
        self.folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
        self.by_marks: dict[tuple[str, ...], list[PurePosixPath]] = {}
        self.by_step: dict[tuple[str, int | None], list[PurePosixPath]] = {}
        for path in map(PurePosixPath, self.pickles):
            stem, folder = path.with_suffix(""), str(path.parent)
            self.by_marks.setdefault((folder, *marks(stem)), []).append(path)
            self.by_step.setdefault((folder, step_of(stem)), []).append(path)


def zips(names: Sequence[str]) -> list[Candidate]:
    """List the zips that may be checkpoints."""
    return [
        Candidate(name)
        for name in names
        if name.endswith(".zip") and PurePosixPath(name).name not in _NOT_CHECKPOINTS
    ]


def suffixless(names: Sequence[str]) -> list[Candidate]:
    """List the files that may be zips although they are not called so."""
    return [Candidate(name) for name in names if not name.endswith(".zip") and not _is_known(name)]


def _is_known(name: str) -> bool:
    return name.endswith(MEMBERS) or _KNOWN.search(PurePosixPath(name).name.lower()) is not None


def unzipped(names: Collection[str]) -> list[Candidate]:
    """List the checkpoints that lie there as the members of their zips.

    A mirror may have flattened them: `name_data`, `name_system_info.txt`, `policy.pth`.
    """
    known = set(names)
    found = (_unzipped(PurePosixPath(name), known) for name in names if re.search(r"(^|[/_])data$", name))
    return [candidate for candidate in found if "policy.pth" in candidate.members]


def _unzipped(data: PurePosixPath, names: Collection[str]) -> Candidate:
    prefix = data.name.removesuffix("data")
    places = [(member, str(data.with_name(p + member))) for p in ("", prefix) for member in MEMBERS[1:]]
    return Candidate(str(data), {"data": str(data), **{m: place for m, place in places if place in names}})


def with_own_folder(candidates: Sequence[Candidate], names: Sequence[str]) -> list[Candidate]:
    """List the zips beside a folder of their name: rl_zoo3 and huggingface_sb3 unzip what they upload."""
    folders = Listing(names).folders
    return [candidate for candidate in candidates if str(candidate.place) in folders]


def conventional(listing: Listing, checkpoint: Candidate) -> list[str]:
    """List the pickles of the names that tools give to statistics, in the nearest place that has some.

    That is beside the zip (Hub), or in the folder of its name (rl_zoo3), or `obs_rms.pkl` in either.
    """
    folders = (checkpoint.place.parent, checkpoint.place)
    for wanted in (STATISTICS, (OLD_STATISTICS,)):
        for folder in folders:
            if found := [str(folder / name) for name in wanted if str(folder / name) in listing.names]:
                return found
    return []


def same_name(listing: Listing, checkpoint: Candidate) -> list[str]:
    """List the pickles beside a zip whose names differ from its name in words such as `vecnormalize` only."""
    own, beginning = marks(checkpoint.place), f"{checkpoint.place.name}_"
    beside = listing.by_marks.get((str(checkpoint.place.parent), *own), [])
    return [str(path) for path in beside if own or path.name.startswith(beginning)]


def same_step(listing: Listing, checkpoint: Candidate) -> list[str]:
    """List the pickles beside a zip that were saved at its step: those of its name, else of any other."""
    step = step_of(checkpoint.place)
    if step is None:
        return []
    beside = listing.by_step.get((str(checkpoint.place.parent), step), [])
    return same_name(listing, checkpoint) or list(map(str, beside))


def others(listing: Listing, checkpoint: Candidate, candidates: Sequence[Candidate]) -> list[str]:
    """List the pickles that may be the statistics of a checkpoint, for all that their names say.

    Left out are those that go with another checkpoint by name, or lie beside another one in a folder apart.
    """
    rest = [candidate for candidate in candidates if candidate.place != checkpoint.place]
    taken = {name for other in rest for name in _taken(listing, other, checkpoint.place.parent)}
    if _is_snapshot(checkpoint):  # of a training, whose final statistics are better than none
        siblings = [other for other in rest if other.place.parent == checkpoint.place.parent]
        taken -= {name for other in siblings for name in conventional(listing, other)}
    return [name for name in listing.pickles if name not in taken]


def _taken(listing: Listing, other: Candidate, folder: PurePosixPath) -> set[str]:
    """Give the pickles of another checkpoint; what lies beside it is also for those in folders below."""
    found = conventional(listing, other)
    near = [name for name in found if not _is_within(folder, PurePosixPath(name).parent)]
    return {*same_name(listing, other), *same_step(listing, other), *near}


def choose_settings(names: Collection[str], checkpoint: Candidate, folder: str) -> tuple[str, ...]:
    """List the files of `SETTINGS` that go with a checkpoint.

    They lie beside it (Hub layout), or in a folder that is named like the environment: rl_zoo3 writes
    `Pendulum-v1_1/Pendulum-v1/config.yml` for `Pendulum-v1_1/{Pendulum-v1,best_model}.zip`.

    Args:
        names: Every file of the source.
        checkpoint: The zip, or what was in it.
        folder: Name of the folder that a zip without one lies in.
    """
    near, known = checkpoint.place.parent, frozenset(names)
    environment = (near.name or folder).rpartition("_")[0]
    folders = dict.fromkeys((near, checkpoint.place, near / environment))
    places = {name: [str(folder / name) for folder in folders] for name in SETTINGS}
    found = {name: next(filter(known.__contains__, near), None) for name, near in places.items()}
    if found["args.yml"]:  # which tells what the model card would be read for
        del found["README.md"]
    return tuple(filter(None, found.values()))


def pickles(names: Collection[str]) -> list[str]:
    """List the pickles, but for replay buffers."""
    endings = (".pkl", ".pickle")
    return [
        n for n in names if n.endswith(endings) and "buffer" not in n.lower() and "replay" not in n.lower()
    ]


def step_of(stem: PurePosixPath) -> int | None:
    """Give the step that a name without suffix ends in: `rl_model_1000_steps` or `ppo_1000`."""
    name = stem.name.lower()
    if found := _STEP.findall(name):
        return int("".join(found[-1]))
    words = _WORD.findall(name)
    return int(words[-1]) if words and words[-1].isdecimal() else None


def marks(stem: PurePosixPath) -> list[str]:
    """Give the words that tell a name without suffix from others: `ppo`, `best` for `ppo_best_vecnorm`."""
    return [word for word in _WORD.findall(stem.name.lower()) if not _GENERIC.fullmatch(word)]


def contradict(checkpoint: Candidate, statistics: str) -> bool:
    """Whether the names say that zip and statistics were saved at different steps."""
    steps = {step_of(checkpoint.place), step_of(PurePosixPath(statistics).with_suffix(""))}
    return None not in steps and len(steps) == 2


def _is_snapshot(checkpoint: Candidate) -> bool:
    return step_of(checkpoint.place) is not None or "best" in marks(checkpoint.place)


def _is_within(folder: PurePosixPath, ancestor: PurePosixPath) -> bool:
    return folder == ancestor or ancestor in folder.parents
