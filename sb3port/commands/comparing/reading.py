"""Reading runs: our folders, SB3's `progress.csv` and `monitor.csv`, and the folders of rl_zoo3."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sb3port.commands.comparing.runs import UNKNOWN, Run, Series, are_finite, of_evaluations
from sb3port.errors import NotPortable, UsageError
from sb3port.families.algorithms import ALGORITHMS
from sb3port.files.untrusted import read_untrusted
from sb3port.ports.finding import CHECKPOINTS, PORT, STATE
from sb3port.ports.reading import read_port
from sb3port.ppo.runs.checkpoints import find_checkpoint
from sb3port.ppo.runs.evaluations import FILE, read_evaluations
from sb3port.ppo.runs.logs import CSV_FILE, STEPS
from sb3port.ppo.runs.settings import RunSettings, flat_settings, read_settings
from sb3port.readers.places.locations import meant

_MEAN, _FPS = "rollout/ep_rew_mean", "time/fps"
_WINDOW = 100  # episodes, as in SB3's own mean
_ZOO = re.compile(r"(?P<env>.+)_\d+")
_NOTHING = Series((), ())


def read_run(path: Path) -> Run:
    """Read one run.

    Args:
        path: The folder of a run of ours, of SB3's logger or of rl_zoo3; or one file, `progress.csv`,
            `monitor.csv` or `evaluations.npz`.

    Raises:
        UsageError: There is nothing of that kind.
        NotPortable: It is damaged.
    """
    if not path.exists():
        raise UsageError(f"{path} is neither a run nor a log", meant(path))
    if path.is_dir() and (path / CHECKPOINTS).is_dir():
        return _ours(path)
    return _theirs(path)


def _ours(path: Path) -> Run:
    checkpoint = find_checkpoint(path)
    settings = read_settings(checkpoint / STATE)
    known = read_port(checkpoint / PORT).spec.algorithm
    rows = _rows(path / CSV_FILE)
    return Run(
        path,
        settings.env,
        next(one.name for one in ALGORITHMS if one.key == known),
        settings.engine,
        _means(rows),
        of_evaluations(read_evaluations(path / FILE)),
        settings.seed,
        _told(settings),
        _middle(row.get(_FPS) for row in rows),
    )


def _told(settings: RunSettings) -> Mapping[str, Any]:
    apart = ("env_id", "seed", "engine", "total_timesteps", "device")
    return {name: value for name, value in flat_settings(settings).items() if name not in apart}


def _theirs(path: Path) -> Run:
    """Read what SB3 logs; rl_zoo3 names its folders `<algorithm>/<environment>_<number>`."""
    folder = path if path.is_dir() else path.parent
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    monitors = [file for file in files if file.name.endswith("monitor.csv")]
    progress = [file for file in files if file.name == CSV_FILE]
    evaluated = [file for file in files if file.name == FILE]
    if not (monitors or progress or evaluated):
        raise UsageError(
            f"{path} holds none of {CSV_FILE}, monitor.csv and {FILE}", "name the folder of one run"
        )
    rows = _rows(progress[0]) if progress else []
    env, episodes = _episodes(monitors)
    zoo, algorithm = _ZOO.fullmatch(folder.resolve().name), folder.resolve().parent.name
    names = {one.key: one.name for one in ALGORITHMS}
    return Run(
        path,
        env or _env_beside(folder) or (zoo["env"] if zoo else UNKNOWN),
        names.get(algorithm, "PPO"),
        "SB3",
        _means(rows) if rows else episodes,
        of_evaluations(read_evaluations(evaluated[0])) if evaluated else _NOTHING,
        _zoo_seed(folder),
        fps=rows[-1].get(_FPS) if rows else None,
    )


def _rows(path: Path) -> list[dict[str, float]]:
    """Read a table of numbers; empty cells are left out, and a last row that was cut off."""
    rows = []
    for row in _table(_text(path), path):
        try:
            rows.append({name: float(cell) for name, cell in row.items() if name and cell})
        except (TypeError, ValueError):
            break
    if rows and STEPS not in rows[0]:
        raise NotPortable(f"{path} has no column {STEPS}, as the logs of SB3 do")
    return rows


def _table(text: str, path: Path) -> Iterator[dict[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(text))
    except csv.Error as error:
        raise NotPortable(f"{path} is no table ({error})") from error


def _text(path: Path) -> str:
    try:
        return read_untrusted(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotPortable(f"{path} is no text ({error.reason})") from error


def _means(rows: Sequence[Mapping[str, float]]) -> Series:
    known = [(row[STEPS], row[_MEAN]) for row in rows if _MEAN in row and STEPS in row]
    finite = [(steps, mean) for steps, mean in known if are_finite(steps, mean)]
    return Series(tuple(steps for steps, _ in finite), tuple(mean for _, mean in finite))


def _episodes(files: Sequence[Path]) -> tuple[str | None, Series]:
    """Read monitors: the episodes of all environments in the order of time, as SB3's `load_results` does."""
    env, found = None, []
    for file in files:
        first, _, rest = _text(file).partition("\n")
        env, start = _header(first, file)
        for row in _table(rest, file):
            try:
                episode = (start + float(row["t"]), float(row["r"]), float(row["l"]))
            except (TypeError, ValueError, KeyError):
                break
            if not are_finite(*episode) or episode[2] < 0:
                raise NotPortable(f"{file} holds an episode of NaN, or of less than no steps")
            found.append(episode)
    found.sort()
    steps, means, done = [], [], 0.0
    for index, (_, _, length) in enumerate(found):
        done += length
        last = [value for _, value, _ in found[max(0, index + 1 - _WINDOW) : index + 1]]
        steps.append(done)
        means.append(sum(last) / len(last))
    return env, Series(tuple(steps), tuple(means))


def _header(line: str, file: Path) -> tuple[str | None, float]:
    """Read the first line of a monitor: `#{"t_start": 1690000000.0, "env_id": "CartPole-v1"}`."""
    try:
        known = json.loads(line.removeprefix("#"))
        env = known.get("env_id")
        return env if isinstance(env, str) and env != "None" else None, float(known["t_start"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise NotPortable(f"{file} does not begin as a monitor of SB3's does") from error


def _env_beside(folder: Path) -> str | None:
    """Give the environment that a monitor names, where one lies beside what was named."""
    for file in sorted(folder.glob("*monitor.csv")):
        return _header(_text(file).partition("\n")[0], file)[0]
    return None


def _zoo_seed(folder: Path) -> int | None:
    """Give the seed that rl_zoo3's `args.yml` names."""
    for file in sorted(folder.glob("*/args.yml")):
        found = re.search(r"^[ -]*- seed\n +- (\d{1,18})$", _text(file), re.MULTILINE)
        if found:
            return int(found[1])
    return None


def _middle(values: Iterator[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None
