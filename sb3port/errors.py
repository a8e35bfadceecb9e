"""Every error a user can meet, each with the exit code that the command line gives it.

The message is one sentence that says what is wrong and where; `hint` says what to do about it.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar

LONGEST = 2000  # characters of a message, and of a hint


def shortened(text: str, limit: int = LONGEST) -> str:
    """Leave out what is beyond a length, and say how much that is."""
    left_out = len(text) - limit
    return text if left_out <= 0 else f"{text[:limit]}… ({left_out:,} more characters)"


def _printable(text: str) -> str:
    """Write control characters out: a message holds names of strangers, and may be printed by anyone."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened_hint(hint: str, limit: int = LONGEST) -> str:
    """Shorten a hint, but not the command that it ends with, unless that alone is too long."""
    ends = [found.end() for found in re.finditer(": ", hint)]
    begin = next((end for end in ends if len(hint) - end <= limit), None)
    if len(hint) <= limit or begin is None:
        return shortened(hint, limit)
    return f"{shortened(hint[: begin - 2], limit - len(hint) + begin)}: {hint[begin:]}"


def did_you_mean(
    word: str, known: Iterable[str], otherwise: str = "", also: str = "", cutoff: float = 0.6
) -> str | None:
    """Give a hint for a word that is none of those that are known: the nearest one, whatever its case.

    Args:
        word: What the user wrote.
        known: What could have been meant.
        otherwise: The hint where nothing is near.
        also: What else the user can do, whether anything is near or not.
        cutoff: How alike they have to be, from 0 to 1.
    """
    from difflib import get_close_matches

    folded = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), folded, 1, cutoff)
    if not near:
        return otherwise or also or None
    return f"did you mean {folded[near[0]]}?{f' or {also}' if also else ''}"


class Sb3portError(Exception):
    """Base of all errors that are not our bug.

    Args:
        message: One sentence: what is wrong, and where; shortened where it is far too long.
        hint: What the user can do, or None when the message says it all; likewise.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = shortened(_printable(message))
        super().__init__(self.message)
        self.hint = None if hint is None else shortened_hint(_printable(hint))


class VerificationFailed(Sb3portError):
    """The check ran and says no (exit code 1).

    Args:
        message: The worst case.
        report: What was compared, as JSON values.
    """

    exit_code = 1

    def __init__(self, message: str, report: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.report = report


class UsageError(Sb3portError):
    """Wrong arguments, a path that is absent or in the way, missing statistics, several candidates (2)."""

    exit_code = 2


TRUSTED = "if you trust it,"


class NeedsOption(UsageError):
    """Something that a file alone does not decide, or that has another name; the user has to say it (2).

    Args:
        message: What, and where it is from.
        options: The words that are missing on the command line, such as `("--env", "ALE/Pong-v5")`.
        when: In which case to say them, as the beginning of the hint.
    """

    def __init__(self, message: str, options: tuple[str, ...], when: str = TRUSTED) -> None:
        super().__init__(message, f"{when} add {shlex.join(options)}")
        self.options, self.when = options, when


class SourceUnreachable(Sb3portError):
    """The Hub has no such repository, revision or file, refuses access, or cannot be reached (3)."""

    exit_code = 3


class NotPortable(Sb3portError):
    """Not a checkpoint we can port: not an SB3 zip, damaged, of an unsupported class; a broken port (4)."""

    exit_code = 4


class BrokenReport(Sb3portError):
    """Not a parity report, one of another version, or a damaged one (4)."""

    exit_code = 4


class MalformedPickle(NotPortable):
    """A pickle that ends early, is longer or deeper than any honest one, or is no pickle at all (4)."""


class Unsafe(NotPortable):
    """Refused as unsafe: loading the file the usual way would run code that it carries (5)."""

    exit_code = 5


class EnvironmentFailed(UsageError):
    """An environment, or other code that is the user's own, raised an error (2)."""


class UnfitInput(UsageError, ValueError):
    """What a policy is given is not what it takes (2); a ValueError, as SB3's `predict` raises."""


class NoAction(UnfitInput):
    """A policy gives NaN, of which no action follows; SB3's distributions refuse it, too (2)."""

    def __init__(self) -> None:
        super().__init__(
            "no action follows from what the policy is given: an observation, or a state, holds NaN or "
            "numbers that are infinite or far too large"
        )


class UnknownChoice(UnfitInput):
    """An observation holds a choice that its space has not, of which there is no one-hot vector (2).

    Args:
        sizes: How many choices there are, for each that is made.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        counts = sizes[0] if len(sizes) == 1 else list(sizes)
        super().__init__(f"the observation holds a choice that is none of those from 0 to below {counts}")


class TrainingDiverged(Sb3portError):
    """Rewards, observations or losses became NaN or infinite (1); earlier checkpoints are kept."""

    exit_code = 1


class RankLost(Sb3portError):
    """Another process of a training ended, or cannot be reached (1); earlier checkpoints are kept."""

    exit_code = 1


# What is looked for to tell whether an extra is installed.
_EXTRAS: Mapping[str, tuple[str, ...]] = {
    "torch": ("torch", "gymnasium"),
    "sb3": ("torch", "gymnasium", "stable_baselines3", "sb3_contrib"),
    "lerobot": ("lerobot", "lerobot_policy_ppo"),
    "dataset": ("lerobot", "pyarrow"),
    "fast": ("torch", "numba"),
    "envpool": ("torch", "gymnasium", "envpool"),
    "onnx": ("torch", "onnx", "onnxruntime", "onnxscript"),
    "plot": ("matplotlib",),
    "ray": ("ray",),
    "video": ("av", "PIL"),
    "tensorboard": ("torch", "tensorboard"),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
    "mlflow": ("mlflow",),
    "optuna": ("torch", "optuna"),
}

_PLUGIN = "lerobot_policy_ppo"
_WITH_PLUGIN = ("lerobot", "all")


def missing(extra: str) -> list[str]:
    """Name the packages of an extra of sb3port that are not installed."""
    return [name for name in _EXTRAS[extra] if find_spec(name) is None]


def need(extra: str, purpose: str, instead: str = "") -> None:
    """Refuse work whose packages are missing, before any of it is done.

    Args:
        extra: The extra of sb3port that brings them.
        purpose: What needs them, as the subject of a sentence.
        instead: What can be done without them, as the rest of the hint.

    Raises:
        UsageError: One is not installed.
    """
    absent = missing(extra)
    if absent:
        are = "are" if len(absent) > 1 else "is"
        raise UsageError(
            f"{purpose} needs {', '.join(absent)}, which {are} not installed",
            f"{installing(extra)}{f', or {instead}' if instead else ''}",
        )


def installing(extra: str) -> str:
    """Give the command that installs an extra from where sb3port itself was installed: an index, or not."""
    plugin = (_PLUGIN,) if extra in _WITH_PLUGIN else ()
    pip = ("pip",) if find_spec("pip") is not None else ("uv", "pip")
    return shlex.join([*pip, "install", *_requirements(extra, plugin, _origin())])


def _origin() -> Mapping[str, Any]:
    """Tell where sb3port was installed from, as PEP 610 has it; empty for a package index."""
    from importlib.metadata import PackageNotFoundError, distribution  # takes 0.1 s

    try:
        found = json.loads(distribution("sb3port").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("url"), str) else {}


def _requirements(extra: str, plugin: tuple[str, ...], origin: Mapping[str, Any]) -> list[str]:
    """Name what is to be installed; the plugin is named where no index has it."""
    url = str(origin.get("url", ""))
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        place = f"{vcs.get('vcs')}+{url}@{vcs.get('requested_revision') or vcs.get('commit_id')}"
        return [
            *(f"{name} @ {place}#subdirectory={name}" for name in plugin),
            f"sb3port[{extra}] @ {place}",
        ]
    if "dir_info" in origin and url.startswith("file://"):
        from urllib.request import url2pathname

        folder = url2pathname(url.removeprefix("file://"))
        editable = ["-e"] if origin["dir_info"].get("editable") else []
        places = (*(f"{folder}/{name}" for name in plugin), f"{folder}[{extra}]")
        return [word for place in places for word in (*editable, place)]
    return [f"sb3port[{extra}] @ {url}" if url else f"sb3port[{extra}]"]
