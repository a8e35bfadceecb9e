"""How many SB3 checkpoints does SB3 itself load: as they are, and repaired?

    python benchmarks/loadable.py FOLDER [--python CLEAN/bin/python]

FOLDER holds zips, at any depth. They are loaded by the SB3 of another Python, which needs neither gym nor
shimmy nor sb3port (`make interop` builds one). Each is loaded in a process of its own: some end it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    """Repair every checkpoint, let SB3 load both, and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default=sys.executable, help="an interpreter with stable-baselines3")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        jobs = [job for path in sorted(asked.folder.rglob("*.zip")) if (job := prepare(path, Path(scratch)))]
        lines = json.dumps(jobs)
        done = subprocess.run(
            [asked.python, __file__, "--worker"],
            input=lines,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    rows = [{**job, **outcome} for job, outcome in zip(jobs, json.loads(done.stdout), strict=True)]
    report(rows, asked.json)


def prepare(path: Path, scratch: Path) -> dict[str, str] | None:
    """Repair one checkpoint; None where the zip is none."""
    from sb3port.commands.export import ExportOptions, repair
    from sb3port.commands.policies import ReadOptions
    from sb3port.errors import Sb3portError

    with zipfile.ZipFile(path) as archive:
        if "data" not in archive.namelist():
            return None
    folder = scratch / str(len(list(scratch.iterdir())))
    job = {"name": path.stem, "original": str(path), "repaired": "", "refused": ""}
    try:
        done = repair(str(path), folder, ReadOptions(), ExportOptions(verify=False), lambda *_: None)
    except Sb3portError as error:
        return {**job, "refused": error.message}
    (name,) = (name for name in done.files if name.endswith(".zip"))
    return {**job, "repaired": str(folder / name), "algorithm": done.checkpoint.spec.algorithm}


def report(rows: list[dict[str, str]], as_json: bool) -> None:
    """Print one line for each checkpoint, then the counts."""
    counts = {kind: sum(row[kind].startswith("loads") for row in rows) for kind in ("original", "repaired")}
    if as_json:
        print(json.dumps({"checkpoints": rows, "count": len(rows), **counts}, indent=2))
        return
    for row in rows:
        repaired = row["refused"] or row["repaired"]
        print(f"{row['name']:<34} as it is: {row['original']:<60.60} repaired: {repaired}")
    print(f"{counts['original']} of {len(rows)} load as they are, {counts['repaired']} repaired")


def work() -> None:
    """Load what stdin names, in an environment without sb3port."""
    import sb3_contrib
    import stable_baselines3
    import torch

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports for seconds, which no child need repeat
    classes = {
        "ppo": stable_baselines3.PPO,
        "a2c": stable_baselines3.A2C,
        "trpo": sb3_contrib.TRPO,
        "ppo_mask": sb3_contrib.MaskablePPO,
        "ppo_lstm": sb3_contrib.RecurrentPPO,
        **{name: getattr(stable_baselines3, name.upper()) for name in ("sac", "td3", "ddpg", "dqn")},
        **{name: getattr(sb3_contrib, name.upper()) for name in ("qrdqn", "tqc", "ars")},
        "crossq": sb3_contrib.CrossQ,
    }
    outcomes = []
    for job in json.load(sys.stdin):
        load = classes[job.get("algorithm", "ppo")].load
        outcomes.append({kind: attempt(load, job[kind]) for kind in ("original", "repaired")})
    print(json.dumps(outcomes))


def attempt(load: Callable[..., object], path: str) -> str:
    """Load one zip in a child process; say "loads", or why it does not."""
    if not path:
        return "refused"
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, outcome(load, path).encode()[:4000])
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    return text or f"ends the process (status {status})"


def outcome(load: Callable[..., object], path: str) -> str:
    """Load one zip, and count the settings that SB3 warns it cannot read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            load(path, device="cpu")
        except AssertionError as error:
            if "HerReplayBuffer" not in str(error):
                return f"AssertionError: {error}"
            load(path, env=goals(path), device="cpu")  # SB3 loads no model that has HER without one
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    lost = [warning for warning in caught if "deserialize" in str(warning.message)]
    return f"loads, but not {len(lost)} of its settings" if lost else "loads"


def goals(path: str) -> object:
    """Give an environment that has the spaces of a model, which SB3 itself reads."""
    import gymnasium
    from stable_baselines3.common.save_util import load_from_zip_file

    data, _, _ = load_from_zip_file(path, device="cpu")
    env: gymnasium.Env[object, object] = gymnasium.Env()
    env.observation_space, env.action_space = data["observation_space"], data["action_space"]
    return env


if __name__ == "__main__":
    work() if sys.argv[1:] == ["--worker"] else main()
