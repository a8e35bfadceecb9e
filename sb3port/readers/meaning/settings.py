"""What the files beside a zip say of the training: rl_zoo3's `config.yml`, `args.yml`, and the model card.

No policy depends on them: one that cannot be read is left aside with a warning. One that is hostile is
refused, because whoever made it made the zip, too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from sb3port.checkpoint.checkpoint import ConfiguredTraining, EnvironmentSpec, SourceFile, short_name
from sb3port.errors import NotPortable, Sb3portError, Unsafe
from sb3port.families.algorithms import ALGORITHMS
from sb3port.files.untrusted import measured, open_untrusted
from sb3port.readers.formats.zoo_yaml import read_front_matter, read_yaml
from sb3port.readers.meaning.zoo_config import ZooConfig, read_zoo_config
from sb3port.readers.meaning.zoo_values import read_kwargs
from sb3port.readers.places.source import Source

# `module:Env-v0` names a module, too, which Gymnasium imports.
_ENV_ID = re.compile(r"(?:[\w.]{1,100}:)?(?:[\w-]{1,100}/)?[\w.-]{1,100}", re.ASCII)
_NAMED = re.compile(rf"(?:{'|'.join(a.key for a in ALGORITHMS)})-(\w[\w.-]*-v\d+)", re.IGNORECASE | re.ASCII)


T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What was read.

    Args:
        config: `config.yml`, None where there is none that can be read.
        environment: What the policy was trained in.
        files: The files that were read, by role ("config", "args", "env_kwargs").
        warnings: Sentences on files that are left aside.
        origins: Which file tells each field of the environment.
    """

    config: ZooConfig | None = None
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def configured(self) -> ConfiguredTraining | None:
        """The schedules and hyperparameters of `config.yml`."""
        if self.config is None:
            return None
        steps = {} if self.config.n_timesteps is None else {"n_timesteps": self.config.n_timesteps}
        others = {**self.config.hyperparameters, "n_envs": self.config.n_envs, **steps}
        normalize_kwargs = self.config.normalize_kwargs if self.config.normalize else None
        return ConfiguredTraining(self.config.schedules, others, normalize_kwargs)


def read_settings(source: Source) -> Settings:
    """Read the files beside a checkpoint; nothing in them is run.

    Raises:
        Unsafe: One of them would run code when loaded with rl_zoo3.
    """
    reader = _Reader({PurePosixPath(name).name: (name, source.path(name)) for name in source.settings})
    arguments = reader.read("args.yml", _arguments) or {}
    env_id, told_by = _env_id(reader, arguments, source)
    config = reader.read("config.yml", lambda path, where: read_zoo_config(path, env_id, where))
    kwargs = reader.read("env_kwargs.yml", _env_kwargs)
    env_kwargs, of_kwargs = _first(
        (config.env_kwargs if config else None, "config.yml"),
        (arguments.get("env_kwargs"), "args.yml"),
        (kwargs, "env_kwargs.yml"),
    )
    environment = EnvironmentSpec(
        env_id=env_id,
        env_kwargs=env_kwargs,
        wrappers=(*config.env_wrapper, *config.vec_env_wrapper) if config else (),
        frame_stack=config.frame_stack if config else None,
        sources=tuple(dict.fromkeys([*told_by, *(file.name for file in reader.files.values())])),
    )
    origins = {"env_id": (told_by or ["args.yml"])[0], "env_kwargs": of_kwargs}
    origins |= dict.fromkeys(("wrappers", "frame_stack"), "config.yml")
    return Settings(config, environment, reader.files, tuple(reader.warnings), origins)


class _Reader:
    """Reads files, and keeps what was read and what could not be."""

    def __init__(self, found: Mapping[str, tuple[str, Path]]) -> None:
        self.found = found
        self.files: dict[str, SourceFile] = {}
        self.warnings: list[str] = []

    def read(self, name: str, read: Callable[[Path, str], T]) -> T | None:
        """Read a file of a name, given its path and what to call it; None where that is not possible."""
        if name not in self.found:
            return None
        where, path = self.found[name]
        try:
            value = read(path, where)
        except Unsafe:
            raise
        except Sb3portError as error:
            self.warnings.append(f"{error.message}; the file is left aside")
            return None
        with open_untrusted(path, where) as file:
            self.files[name.removesuffix(".yml")] = SourceFile(where, *measured(file, where))
        return value


def _arguments(path: Path, where: str) -> dict[str, Any]:
    """Read the arguments of rl_zoo3's command line that tell the environment."""
    content = read_yaml(path, where)
    if not isinstance(content, dict):
        raise NotPortable(f"{where} does not hold the arguments of rl_zoo3's command line")
    return {
        "env": content.get("env"),
        "env_kwargs": read_kwargs(content.get("env_kwargs"), f"{where}: env_kwargs"),
    }


def _env_kwargs(path: Path, where: str) -> dict[str, Any]:
    """Read the arguments that rl_zoo3 uploads, which say how to draw videos, too."""
    kwargs = read_kwargs(read_yaml(path, where), where)
    return {key: value for key, value in kwargs.items() if key != "render_mode"}


def _first(*given: tuple[Mapping[str, Any] | None, str]) -> tuple[Mapping[str, Any], str]:
    """Give the first that has something, and the file that it is from."""
    return next(((kwargs, file) for kwargs, file in given if kwargs), ({}, ""))


def _env_id(reader: _Reader, arguments: Mapping[str, Any], source: Source) -> tuple[str | None, list[str]]:
    """Tell the environment's id, and by what it was told: rl_zoo3, the model card, or the model's name."""
    card = reader.found.get("README.md")
    candidates = (
        (arguments.get("env"), "args.yml"),
        (_dataset(card[1]) if card else None, "README.md"),
        (_named(source.location), "name"),
        (_named(source.checkpoint.shown), "name"),
    )
    for env_id, told_by in candidates:
        if isinstance(env_id, str) and _ENV_ID.fullmatch(env_id):
            return env_id, [] if told_by == "args.yml" else [told_by]
    return None, []


def _named(location: str) -> str | None:
    """Tell the environment from a name such as `ppo-Pendulum-v1`."""
    match = _NAMED.fullmatch(short_name(location))
    return match and match[1]


def _dataset(card: Path) -> Any:
    """Give the name of the data set in a model card's metadata, which is the environment's id."""
    try:
        return read_front_matter(card, card.name)["model-index"][0]["results"][0]["dataset"]["name"]
    except (Sb3portError, LookupError, TypeError):
        return None
