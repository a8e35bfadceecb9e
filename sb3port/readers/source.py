"""What a user names as SOURCE, resolved to files on this machine.

SOURCE is a Hub repository (`org/name`, `org/name@revision`), a zip, or a folder in a Hub repository's layout.
An existing local path beats a Hub name.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from sb3port.errors import NotPortable, UsageError
from sb3port.readers.archive import is_checkpoint

STATISTICS = ("vec_normalize.pkl", "vecnormalize.pkl")
# What rl_zoo3 and the Hub's model cards say of the training.
SETTINGS = ("config.yml", "args.yml", "env_kwargs.yml", "README.md")
# A zip of evaluation curves that rl_zoo3 uploads beside every model.
_NOT_CHECKPOINTS = frozenset({"train_eval_metrics.zip"})
_REPO_ID = re.compile(r"\w[\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Source:
    """The local files of one checkpoint, and where they come from.

    Args:
        label: What to call it in messages: as the user named it.
        kind: "hub", "file" or "folder".
        location: Repository id, or absolute path.
        revision: Commit hash on the Hub, else None.
        checkpoint: The zip.
        statistics: The VecNormalize pickle, None where there is none.
        reference: Recorded outputs (`reference.npz`) beside a local source, None where there are none.
        checkpoint_name: The zip's name within the source.
        statistics_name: The pickle's name within the source.
        settings: rl_zoo3's files and the model card, by their names within the source.
    """

    label: str
    kind: str
    location: str
    revision: str | None
    checkpoint: Path
    statistics: Path | None
    reference: Path | None
    checkpoint_name: str
    statistics_name: str
    settings: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceOptions:
    """What a user may say to narrow a source down.

    Args:
        filename: The zip within a repository or folder.
        revision: Branch, tag or commit on the Hub.
        vecnormalize: A local VecNormalize pickle to use instead of the one beside the zip.
    """

    filename: str | None = None
    revision: str | None = None
    vecnormalize: Path | None = None


def resolve(label: str, options: SourceOptions) -> Source:
    """Find the files of a checkpoint, fetching them from the Hub where they are not local.

    Raises:
        UsageError: The path is absent, an option does not apply, or several zips could be meant.
        NotPortable: The folder or repository holds no checkpoint.
        SourceUnreachable: The Hub does not have it, or cannot be reached.
    """
    if not label.strip():
        raise UsageError("SOURCE is empty")
    if options.vecnormalize is not None and not options.vecnormalize.is_file():
        raise UsageError(f"--vecnormalize {options.vecnormalize} is not a file")
    path = _local_path(label)
    if path is not None:
        return _resolve_local(label, path, options)
    repo_id, _, revision = label.partition("@")
    if not _REPO_ID.fullmatch(repo_id) or label.endswith(".zip"):
        raise UsageError(
            f"{label} is neither a file or folder on this machine nor a Hub repository",
            "a Hub repository is named like sb3/ppo-Pendulum-v1",
        )
    if revision and options.revision not in (None, revision):
        raise UsageError(f"{label} names one revision and --revision {options.revision} another")
    return resolve_hub(repo_id, replace(options, revision=revision or options.revision))


def _local_path(label: str) -> Path | None:
    """Give the existing local path of that name; what cannot be a path (`~nobody`, too long) is none."""
    try:
        path = Path(label).expanduser()
        return path if path.exists() else None
    except (RuntimeError, OSError):
        return None


def _resolve_local(label: str, path: Path, options: SourceOptions) -> Source:
    if options.revision is not None:
        raise UsageError(f"--revision applies to Hub repositories, and {label} is on this machine")
    if path.is_dir():
        return _resolve_folder(label, path, options)
    if options.filename is not None:
        raise UsageError(f"--filename applies to folders and Hub repositories, and {label} is a file")
    siblings = [name for name in statistics_places(path.name) if (path.parent / name).is_file()]
    return _local_source(label, "file", path, path, siblings, options)


def _resolve_folder(label: str, folder: Path, options: SourceOptions) -> Source:
    names = _names(folder)
    chosen = choose_checkpoint(
        names, _absolute(folder).name, label, options.filename, lambda name: is_checkpoint(folder / name)
    )
    return _local_source(label, "folder", folder, folder / chosen, choose_statistics(names, chosen), options)


def _names(folder: Path) -> list[str]:
    """List the files three folders deep: hidden folders hold no checkpoints, and a home folder is large."""
    found = (path.relative_to(folder) for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth))
    visible = (path for path in found if not any(part.startswith(".") for part in path.parts))
    return sorted(path.as_posix() for path in visible if (folder / path).is_file())


def _absolute(path: Path) -> Path:
    """Give an absolute path without `..`, through symbolic links: in the Hub's cache names lead to hashes."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (Path.resolve follows links)


def _local_source(
    label: str, kind: str, root: Path, checkpoint: Path, statistics: Sequence[str], options: SourceOptions
) -> Source:
    base = checkpoint.parent if kind == "file" else root
    beside = base / statistics[0] if statistics else None
    found = options.vecnormalize or beside
    reference = checkpoint.parent / "reference.npz"
    name = checkpoint.relative_to(base).as_posix()
    settings = choose_settings(lambda place: (base / place).is_file(), name, _absolute(base).name)
    return Source(
        label=label,
        kind=kind,
        location=str(_absolute(root)),
        revision=None,
        checkpoint=checkpoint,
        statistics=found,
        reference=reference if reference.is_file() else None,
        checkpoint_name=name,
        statistics_name=str(found) if options.vecnormalize else (statistics[0] if statistics else ""),
        settings={name: base / name for name in settings},
    )


def resolve_hub(repo_id: str, options: SourceOptions) -> Source:
    """Fetch the files of a checkpoint from a Hub repository; errors are those of `resolve`."""
    from sb3port.readers import hub

    repo = hub.list_repo(repo_id, options.revision)
    chosen = choose_checkpoint(repo.names, repo_id.partition("/")[2], repo_id, options.filename)
    statistics = [] if options.vecnormalize else choose_statistics(repo.names, chosen)[:1]
    settings = choose_settings(repo.names.__contains__, chosen, repo_id.partition("/")[2])
    folder = hub.download(repo, [chosen, *statistics, *settings])
    return Source(
        label=repo_id,
        kind="hub",
        location=repo_id,
        revision=repo.revision,
        checkpoint=folder / chosen,
        statistics=options.vecnormalize or (folder / statistics[0] if statistics else None),
        reference=None,
        checkpoint_name=chosen,
        statistics_name=str(options.vecnormalize) if options.vecnormalize else "".join(statistics),
        settings={name: folder / name for name in settings},
    )


def choose_checkpoint(
    names: Sequence[str],
    name: str,
    label: str,
    filename: str | None = None,
    accept: Callable[[str], bool] = lambda _: True,
) -> str:
    """Choose the zip that is meant among the files of a repository or folder.

    `{name}.zip` decides by itself, then the one zip beside a folder of the same name, then the only one.

    Args:
        names: Every file, as POSIX paths.
        name: The repository's or folder's own name.
        label: What to call the source in an error message.
        filename: The user's choice, which beats all others.
        accept: Tells whether a zip holds a checkpoint, where that can be looked at.

    Raises:
        UsageError: The user's choice is absent, or several zips could be meant (all of them are listed).
        NotPortable: There is none.
    """
    if filename is not None:
        if filename not in names:
            raise UsageError(f"{label} has no file {filename}", f"it has: {_listed(names)}")
        return filename
    zips = [n for n in names if n.endswith(".zip") and PurePosixPath(n).name not in _NOT_CHECKPOINTS]
    if f"{name}.zip" in zips or len(zips) == 1:
        return f"{name}.zip" if f"{name}.zip" in zips else zips[0]
    candidates = [candidate for candidate in zips if accept(candidate)]
    with_folder = [c for c in candidates if any(n.startswith(c.removesuffix(".zip") + "/") for n in names)]
    for group in (with_folder, candidates):
        if len(group) == 1:
            return group[0]
    if not candidates:
        raise NotPortable(f"{label} holds no SB3 checkpoint", f"it holds: {_listed(names)}")
    raise UsageError(f"{label} holds several checkpoints: {_listed(candidates)}", "name one with --filename")


def choose_statistics(names: Sequence[str], checkpoint: str) -> list[str]:
    """List the VecNormalize pickles that go with a zip, nearest first.

    They lie beside it (Hub layout), or in a folder of its name (rl_zoo3's local layout).
    """
    return [place for place in statistics_places(checkpoint) if place in names]


def statistics_places(checkpoint: str) -> list[str]:
    """List where the VecNormalize pickle of a zip can lie, nearest first."""
    path = PurePosixPath(checkpoint)
    folders = (path.parent, path.parent / path.name.removesuffix(".zip"))
    return [(folder / name).as_posix() for folder in folders for name in STATISTICS]


def choose_settings(exists: Callable[[str], bool], checkpoint: str, folder: str) -> list[str]:
    """List the files of `SETTINGS` that go with a zip.

    They lie beside it (Hub layout), or in a folder that is named like the environment: rl_zoo3 writes
    `Pendulum-v1_1/Pendulum-v1/config.yml` for `Pendulum-v1_1/{Pendulum-v1,best_model}.zip`.

    Args:
        exists: Tells whether there is a file of a name.
        checkpoint: The zip.
        folder: Name of the folder that a zip without one lies in.
    """
    path = PurePosixPath(checkpoint)
    environment = (path.parent.name or folder).rpartition("_")[0]
    folders = dict.fromkeys((path.parent, path.with_suffix(""), path.parent / environment))
    places = {name: [(folder / name).as_posix() for folder in folders] for name in SETTINGS}
    found = {name: place for name, near in places.items() if (place := next(filter(exists, near), None))}
    if "args.yml" in found:  # which tells what the model card would be read for
        found.pop("README.md", None)
    return list(found.values())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12]) or "nothing"
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
