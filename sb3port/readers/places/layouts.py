"""What the names of files say: which of them are checkpoints, settings, or pickles that may be statistics.

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
    def folder(self) -> PurePosixPath:
        """The folder that it lies in, also if it is the source itself, unzipped."""
        return parent(self.place)

    @property
    def shown(self) -> str:
        """What to call it, and to give as `--filename`."""
        return str(self.place) if self.members and PurePosixPath(self.name).name == "data" else self.name

    @property
    def files(self) -> dict[str, str]:
        """The files by role: "checkpoint" for the zip or `data`, else the member."""
        others = {member: name for member, name in self.members.items() if member != "data"}
        return {"checkpoint": self.name, **others}


def parent(folder: PurePosixPath) -> PurePosixPath:
    """Give the folder above, which may be out of the source: that of `.` is `..`."""
    return PurePosixPath("..") / folder if set(folder.parts) <= {".."} else folder.parent


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
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    return [candidate for candidate in candidates if str(candidate.place) in folders]


def choose_settings(names: Collection[str], checkpoint: Candidate, folder: str) -> tuple[str, ...]:
    """List the files of `SETTINGS` that go with a checkpoint.

    They lie beside it (Hub layout), or in a folder that is named like the environment: rl_zoo3 writes
    `Pendulum-v1_1/Pendulum-v1/config.yml` for `Pendulum-v1_1/{Pendulum-v1,best_model}.zip`.

    Args:
        names: Every file of the source.
        checkpoint: The zip, or what was in it.
        folder: Name of the folder that a zip without one lies in.
    """
    near, known = checkpoint.folder, frozenset(names)
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
