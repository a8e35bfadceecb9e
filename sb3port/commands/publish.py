"""A SOURCE on its way to the Hub: a port, a zip for today's SB3, an evaluation and a film, in one commit."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from sb3port.checkpoint.checkpoint import EnvironmentSpec
from sb3port.commands.convert import ConvertOptions, convert
from sb3port.commands.evaluate import evaluate_port, film_port, identity_of
from sb3port.commands.export import ExportOptions, repair
from sb3port.commands.policies import ReadOptions
from sb3port.commands.publishing.contents import Upload, prepare
from sb3port.environments.choosing import choose_environment
from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.environments.rollouts import Setting
from sb3port.environments.wrapping import wrapping_in
from sb3port.errors import Sb3portError, UsageError, missing
from sb3port.reports.returns import SCHEMA, VERSION

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecNormalize

Announce: TypeAlias = Callable[[str, str], None]

FILM = "replay.mp4"
"""What the Hub plays on a model's page."""
RESULTS = "results.json"
"""What huggingface_sb3 writes of an evaluation, and its leaderboards read."""


@dataclass(frozen=True)
class Packing:
    """How a SOURCE is made ready to be published.

    Args:
        reading: How it is read.
        env: The environment to evaluate and film it in; None for that of the training.
        around: What the user says of it beside that.
        seeds: One per episode; none for no evaluation and no film.
        film: Whether the first episode is filmed, where the packages for that are installed.
    """

    reading: ReadOptions = field(default_factory=ReadOptions)
    env: str | None = None
    around: Around = AS_IN_TRAINING
    seeds: Sequence[int] = range(10)
    film: bool = True


@contextmanager
def packed(label: str, repo_id: str, packing: Packing, announce: Announce) -> Iterator[Upload]:
    """Put together what goes up; its files are temporary, and gone in the end.

    Args:
        label: SOURCE, as the user names it.
        repo_id: Where it shall go.
        packing: How.
        announce: Called with each stage and what came of it; "warning" for what is left out.

    Raises:
        Sb3portError: It cannot be ported, or is not what its source computes.
    """
    name, reading = repo_id.rpartition("/")[2], packing.reading
    with TemporaryDirectory(prefix="sb3port-") as scratch:
        port, sb3 = Path(scratch) / name, Path(scratch) / "sb3"
        converted = convert(label, port, ConvertOptions(reading), announce)
        files = _for_sb3(label, sb3, reading, name)
        announce("sb3", ", ".join(sorted(files)))
        setting = _setting(converted.checkpoint.environment, packing, announce)
        returns = None if setting is None else _evaluate(port, setting, Path(scratch), files, announce)
        if setting is not None and packing.film:
            _film(port, setting, sb3 / FILM, files, announce)
        upload = prepare(port, repo_id, returns=returns, sb3_zip=f"{name}.zip")
        yield replace(upload, files=dict(sorted({**upload.files, **files}.items())))


def _for_sb3(label: str, folder: Path, reading: ReadOptions, name: str) -> dict[str, bytes | Path]:
    """Write what today's SB3 loads; the zip gets the repository's name, as huggingface_sb3 has it."""
    done = repair(label, folder, reading, ExportOptions(verify=False), lambda *_: None)
    return {f"{name}.zip" if file.endswith(".zip") else file: folder / file for file in done.files}


def _setting(environment: EnvironmentSpec, packing: Packing, announce: Announce) -> Setting | None:
    """Choose where it is evaluated; None where nothing tells, or nothing shall be."""
    if not packing.seeds:
        return None
    try:
        chosen = choose_environment(environment, packing.env, packing.around)
    except Sb3portError as error:
        if packing.env is not None:
            raise
        announce("warning", f"it is not evaluated: {error.message}")
        return None
    wrapping = wrapping_in(chosen)
    for sentence in wrapping.warnings:
        announce("warning", sentence)
    return Setting(chosen.env_id or "", packing.seeds, wrapping)


def _evaluate(
    port: Path, setting: Setting, scratch: Path, files: dict[str, bytes | Path], announce: Announce
) -> Path:
    """Measure returns; give the file that holds them as `sb3port eval --json` prints them."""
    found = evaluate_port(port, setting)
    path = scratch / "returns.json"
    head = {"schema": SCHEMA, "version": VERSION, "port": identity_of(port.name, port)}
    path.write_text(json.dumps({**head, **found.to_json()}))
    files[RESULTS] = _json(
        {
            "mean_reward": found.mean,
            "std_reward": found.std,
            "is_deterministic": found.deterministic,
            "n_eval_episodes": len(found.seeds),
            "seeds": list(found.seeds),
        }
    )
    announce("eval", f"{found.mean:.2f} +/- {found.std:.2f} in {len(found.seeds)} episodes of {found.env}")
    return path


def _film(
    port: Path, setting: Setting, path: Path, files: dict[str, bytes | Path], announce: Announce
) -> None:
    if absent := missing("video"):
        announce("warning", f"it is not filmed: {', '.join(absent)} are not installed")
        return
    try:
        film_port(port, setting, path)
    except UsageError as error:  # an environment that draws nothing, or has no display
        announce("warning", f"it is not filmed: {error.message}")
        return
    files[path.name] = path
    announce("film", path.name)


@contextmanager
def saved(model: "BaseAlgorithm", normalizer: "VecNormalize | None", name: str) -> Iterator[Path]:
    """Give a folder with what SB3 saves of a model, and of its VecNormalize; it is gone in the end.

    Args:
        model: Of SB3's or sb3-contrib's.
        normalizer: None for that of the model's environment, if it has one.
        name: What the folder and the zip are called.
    """
    from sb3port.exports.sb3_models import save_sb3_model

    with TemporaryDirectory(prefix="sb3port-") as scratch:
        folder = Path(scratch) / name
        save_sb3_model(model, folder, name, normalizer)
        yield folder


def named_environment(env: Any) -> tuple[str, Mapping[str, Any]]:
    """Give the id and the arguments of an environment.

    Args:
        env: An id, a Gymnasium environment that was made by one, or a VecEnv of such.

    Raises:
        UsageError: It has no id.
    """
    if isinstance(env, str):
        return env, {}
    spec = env.get_attr("spec")[0] if hasattr(env, "get_attr") and hasattr(env, "num_envs") else env.spec
    if spec is None:
        raise UsageError(
            "env has no id, so that nobody could make it again",
            "make it with gymnasium.make, or give its id as text; episodes=0 leaves the evaluation out",
        )
    return str(spec.id), dict(spec.kwargs)


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode()
