"""Which environment a policy shall act in: what the user says, then what is noted of its training.

What is noted lies in a file, and a file chooses neither code that is imported nor places that are opened:
there the user has to say it, too, and is told how.
"""

import re
from importlib.util import find_spec
from typing import NoReturn

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.errors import TRUSTED, NeedsOption, UsageError, did_you_mean, need
from sb3port.families.environment_ids import Home, LeRobotId, home_of, lerobot_id
from sb3port.families.strangers_arguments import id_words, is_odd, is_undecided, undecided_words
from sb3port.families.wrappers import FRAME_STACK, applied
from sb3port.files.importing import working_folder_first

_GYMNASIUMS = "gymnasium.envs."
_VERSIONED = re.compile(r"(?P<name>.+)-v(?P<version>\d+)", re.ASCII)
_WILL_DO = "where that will do, for returns may differ,"


def choose_environment(
    noted: EnvironmentSpec, env_id: str | None = None, around: Around = AS_IN_TRAINING
) -> EnvironmentSpec:
    """Choose an environment, and all that goes around it; what is chosen may be made.

    Args:
        noted: What the policy was trained in, from a file.
        env_id: The one that the user names, None for that of the training.
        around: What the user says beside it.

    Raises:
        UsageError: There is no environment of this name, or none is named.
        NeedsOption: Something that is noted is not for a file to decide.
    """
    if env_id is None and noted.env_id is None:
        raise UsageError("the environment of the training must be named with --env ID")
    known = noted if around.recorded else EnvironmentSpec(noted.env_id)
    _refuse_undecided(known, env_id, around)
    wrappers = around.wrappers or known.wrappers
    if around.frame_stack is not None and not around.wrappers:
        wrappers = tuple(wrapper for wrapper in wrappers if not _stacks(wrapper))
    return EnvironmentSpec(
        check_id(env_id or known.env_id or ""),
        {**known.env_kwargs, **around.env_kwargs},
        wrappers,
        around.frame_stack or known.frame_stack,
        noted.sources,
    )


def _stacks(wrapper: Wrapper) -> bool:
    return [ours.name for ours in applied(EnvironmentSpec(wrappers=(wrapper,)))] == [FRAME_STACK]


def needed_words(
    noted: EnvironmentSpec, env_id: str | None = None, around: Around = AS_IN_TRAINING
) -> tuple[str, ...]:
    """Give the words of a command that runs a policy in an environment that is noted of it.

    Args:
        noted: From a file.
        env_id: Which one the command names already.
        around: What it says beside that.
    """
    words: list[str] = []
    if env_id is None and noted.env_id is not None and not is_gymnasiums_own(noted.env_id):
        words += id_words(_today(noted.env_id))
    if not around.recorded:
        return tuple(words)
    kept = {name: value for name, value in noted.env_kwargs.items() if name not in around.env_kwargs}
    undecided = EnvironmentSpec(env_kwargs=kept, wrappers=() if around.wrappers else noted.wrappers)
    return (*words, *undecided_words(undecided))


def _refuse_undecided(noted: EnvironmentSpec, env_id: str | None, around: Around) -> None:
    """Refuse what a file has no business to choose: code, places, windows, and episodes without an end."""
    words = needed_words(noted, env_id, around)
    if not words:
        return
    if words[0] == "--env":
        _refuse_id(noted.env_id or "", words)
    if words[0] == "--env-kwargs":
        name, value = next((k, v) for k, v in noted.env_kwargs.items() if is_odd(k, v))
        what = (
            f"the environment of the training got {name[:100]}={str(value)[:100]!r}, and a file does not "
            "choose places or modules, windows, or episodes without an end"
        )
    else:
        names = ", ".join(wrapper.name[:200] for wrapper in noted.wrappers if is_undecided(wrapper))
        what = f"the training was behind {names}, which a file alone does not decide to put around it"
    raise NeedsOption(what, words)


def _refuse_id(noted: str, words: tuple[str, ...]) -> NoReturn:
    home = _today(noted)
    what = f"the environment of the training, which was {noted}, must be named"
    if home.env_id != noted and home.package is None:
        raise NeedsOption(f"{what}: Gymnasium has {home.env_id} in its place", words, _WILL_DO)
    why = "it is not Gymnasium's own, so that a file alone does not decide to make it"
    if home.env_id == noted and ":" not in noted and not _is_registered(noted):
        raise UsageError(
            f"{what}: {why}", f"name it after the module that registers it: --env module:{noted}"
        )
    raise NeedsOption(f"{what}: {why}", words, _after_installing(home))


def is_gymnasiums_own(env_id: str) -> bool:
    """Whether an id names an environment that Gymnasium itself brings: a file may choose among those."""
    import gymnasium

    spec = gymnasium.registry.get(env_id)
    entry = None if spec is None else spec.entry_point
    return isinstance(entry, str) and entry.startswith(_GYMNASIUMS) and home_of(env_id).env_id == env_id


def check_id(env_id: str) -> str:
    """Give the full id of an environment that there is: the newest version where none is named.

    Nothing is imported: whether `module:Id` is there shows when it is made.

    Raises:
        UsageError: There is none of this name; if it has moved, where it is now.
    """
    module, colon, _ = env_id.partition(":")
    if (found := lerobot_id(env_id)) is not None:
        _check_lerobot(found)
    elif colon:
        _check_module(module, env_id)
    if colon or _is_registered(env_id):
        return env_id
    home = _today(env_id)
    if home.env_id == env_id:
        raise UsageError(
            f"the environment {env_id} cannot be made: there is none of this name", _meant(env_id)
        )
    if home.package is not None:
        what = f"the environment {env_id} cannot be made: it is in the package {home.package}"
        raise NeedsOption(what, id_words(home), _after_installing(home))
    if _VERSIONED.fullmatch(env_id) is None:
        return home.env_id
    what = f"the environment {env_id} cannot be made: Gymnasium has {home.env_id} in its place"
    raise NeedsOption(what, id_words(home), _WILL_DO)


def _is_registered(env_id: str) -> bool:
    """Whether there is an environment of this id, and not only a word that it has moved."""
    import gymnasium

    spec = gymnasium.registry.get(env_id)
    if spec is None:
        return False
    entry = spec.entry_point
    module = entry if isinstance(entry, str) else str(getattr(entry, "__module__", ""))
    return not f"{module}.".startswith(_GYMNASIUMS) or home_of(env_id).env_id == env_id


def _today(env_id: str) -> Home:
    """Give where an environment is today, by what is known of old ones and by what Gymnasium has here."""
    home = home_of(env_id)
    if home.env_id != env_id or ":" in env_id or _is_registered(env_id):
        return home
    return Home(_newest(env_id) or env_id)


def _newest(env_id: str) -> str | None:
    """Give the newest version of an environment that Gymnasium has, None where it has none of this name."""
    import gymnasium

    found = _VERSIONED.fullmatch(env_id)
    name = found["name"] if found else env_id
    known = [match for match in map(_VERSIONED.fullmatch, gymnasium.registry) if match]
    versions = [int(match["version"]) for match in known if match["name"] == name]
    return f"{name}-v{max(versions)}" if versions else None


def _after_installing(home: Home) -> str:
    """Say when a command will run."""
    missing = home.package is not None and find_spec(home.env_id.partition(":")[0]) is None
    return f"pip install {home.package}, and then" if missing else TRUSTED


def _check_module(module: str, env_id: str) -> None:
    with working_folder_first():
        try:
            there = find_spec(module.partition(".")[0]) is not None
        except (ImportError, ValueError):
            there = False
    if not there:
        home = home_of(env_id.partition(":")[2])
        brings = home.package is not None and home.env_id == env_id
        raise UsageError(
            f"the environment {env_id} cannot be made: there is no module {module}",
            f"pip install {home.package}"
            if brings
            else "run sb3port in the folder of the module, or install it",
        )


def _check_lerobot(found: LeRobotId) -> None:
    if not found.kind:
        raise UsageError(f"{found.text}: names no type of environment", "write it like lerobot:pusht")
    if found.module is None and found.kind == "gymnasium":
        raise UsageError(
            "lerobot:gymnasium makes environments of Gymnasium, which need no LeRobot here",
            "name the task itself, as --env Pendulum-v1 or --env.type=gymnasium --env.task=Pendulum-v1",
        )
    need("lerobot", f"the environment {found.text}")
    if found.module is not None:
        _check_module(found.module, found.text)


def _meant(env_id: str) -> str | None:
    import gymnasium

    known = [name for name in gymnasium.registry if not name.startswith("GymV2")]
    own = "name one of your own after the module that registers it, as module:Id"
    return did_you_mean(env_id, known, also=own, cutoff=0.75)
