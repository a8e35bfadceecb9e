"""How many models `sb3port bulk` ports in a second, how much memory that takes, and how both grow.

    python benchmarks/bulk.py [--models N] [--verified N] [--growth N ...] [--jobs N] [--ray N]

A generated organisation, the fixtures' variants with other weights, is ported from a folder and from a
loopback Hub, with and without verification, and in the same run SB3's own `load`, `predict` and `save` go
through those that it can load. Times are by the clock and of computing, because the clock depends on what
else the machine does. The Hub is a process of its own, whose computing is not counted. With `--ray`, so many
models are ported on one local node of Ray and on two, in an environment that is built for it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SERVER = """
import sys, threading
from pathlib import Path
from tests.hub.loopback import serve
with serve(Path(sys.argv[1])) as hub:
    print(hub.endpoint, flush=True)
    sys.stdin.read()
"""
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run every part in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--verified", type=int, default=400)
    parser.add_argument("--growth", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--ray", type=int, default=0)
    parser.add_argument("--part", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        PARTS[asked.part[0]](*asked.part[1:])
        return
    with tempfile.TemporaryDirectory(prefix="bulk-") as scratch:
        measure(asked, Path(scratch))


def measure(asked: argparse.Namespace, root: Path) -> None:
    """Run all parts, and print their rows."""
    from tests.bulk.organisation import organisation

    jobs = str(asked.jobs)
    organisation(root / "models", asked.models)
    organisation(root / "few", asked.verified)
    print(f"{asked.jobs} workers; load of the machine {os.getloadavg()[0]:.1f}")
    columns = "models   seconds   a second   CPU ms each   per CPU second   peak MB: at 200, in all"
    print(f"{'what':<30}{columns}", flush=True)
    part("SB3: load, predict, save", "sb3", root / "few", root)
    row = part("folder, not verified", "folder", root / "models", root / "out-1", jobs, "")
    print(f"    memory grew by {row['peak'] / row['peak_200'] - 1:.1%} after the first 200")
    part("folder, verified", "folder", root / "few", root / "out-2", jobs, "verify")
    hub(root / "models", root / "out-3", jobs)
    grow(root, asked.growth, jobs)
    if asked.ray:
        organisation(root / "ray", asked.ray)
        for nodes in (1, 2):
            on_ray(root / "ray", root / f"out-ray-{nodes}", nodes)


def grow(root: Path, counts: list[int], jobs: str) -> None:
    """Port more and more models, and say what a million would take."""
    from tests.bulk.organisation import organisation

    grown = []
    for count in counts:
        organisation(root / f"grown-{count}", count)
        out = root / f"out-{count}"
        grown.append(part(f"growth: {count:,}", "folder", root / f"grown-{count}", out, jobs, ""))
        grown[-1]["ledger"] = (out / "ledger.jsonl").stat().st_size
        print(
            f"    ledger {grown[-1]['ledger'] / 1e6:.1f} MB, report {grown[-1]['report']:.1f} s", flush=True
        )
    if len(grown) > 1:
        first, last = grown[-2:]
        hours = 1e6 * last["cpu"] / last["models"] / 3600
        memory = (last["peak"] - first["peak"]) / (last["models"] - first["models"])
        size = last["ledger"] / last["models"] / 1e3
        print(f"a million: {hours:.1f} h of CPU time, {size:.1f} GB of ledger, {memory * 1e3:.1f} GB more")


def on_ray(models: Path, out: Path, nodes: int) -> None:
    """Port models on local nodes of Ray, and print how many a second."""
    from tests.interop.environments import environment

    python = environment("ray", ("ray>=2.40", f"sb3port @ {ROOT.as_uri()}"))
    command = [python, "-m", "tests.bulk.on_ray", models, out, "--nodes", str(nodes), "--deadline", "900"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    print(
        f"Ray, nodes: {nodes:<16} {told['done']:>7,} {told['seconds']:>9.1f} {told['rate']:>10.1f}",
        flush=True,
    )


def part(name: str, *words: object, **variables: str) -> dict[str, float]:
    """Run a part, print its row, and give it."""
    command = [sys.executable, __file__, "--part", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    each = row["cpu"] / row["models"]
    print(
        f"{name:<28} {row['models']:>7,} {row['seconds']:>9.1f} {row['models'] / row['seconds']:>10.1f}"
        f" {1e3 * each:>13.1f} {1 / each:>16.1f}   {row['peak_200']:>6.0f} {row['peak']:>6.0f}",
        flush=True,
    )
    if row.get("client"):
        each = 1e3 * row["client"] / row["models"]
        print(f"    of which the client of the Hub computes {each:.1f} ms", flush=True)
    return dict(row)


def hub(models: Path, out: Path, jobs: str) -> None:
    """Serve models from a process of its own, and port them."""
    command = [sys.executable, "-c", SERVER, str(models)]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    endpoint = server.stdout.readline().strip()
    variables = {"HF_ENDPOINT": endpoint, "HF_HOME": str(out) + "-cache", "HF_HUB_DISABLE_XET": "1"}
    part("loopback Hub, not verified", "author", "org", out, jobs, "", **variables)
    server.kill()


def folder(models: str, out: str, jobs: str, verify: str, author: str = "") -> None:
    """Port a folder, or an author's models, and print what it took as JSON."""
    from sb3port.commands.bulk.crew import Bounds
    from sb3port.commands.bulk.items import find_items
    from sb3port.commands.bulk.job import Job
    from sb3port.commands.bulk.report import write_report
    from sb3port.commands.bulk.running import Plan, Progress, run

    peaks = [0.0, 0.0]

    def watch(progress: Progress) -> None:
        peaks[1] = max(peaks[1], resident())
        if progress.ended <= 200 or not peaks[0]:
            peaks[0] = peaks[1]

    began = time.perf_counter()
    items = find_items([models] if models else [], author or None).items
    plan = Plan(Job(verify=bool(verify)), items, Path(out), Bounds(int(jobs)))
    done = run(plan, watch)
    ended = time.perf_counter()
    write_report(Path(out))
    report = time.perf_counter() - ended
    watch(done)
    seconds = time.perf_counter() - began
    lines = [json.loads(line) for line in (Path(out) / "ledger.jsonl").open()]
    assert done.failed_in_all == 0, next(line["reason"] for line in lines if line["reason"])
    client = sum(line["fetched"][1] for line in lines if line["fetched"])
    cpu = sum(line["cpu_seconds"] for line in lines) + client + time.process_time()
    told = {"models": len(lines), "seconds": seconds, "cpu": cpu, "client": client, "report": report}
    print(json.dumps({**told, "peak_200": peaks[0], "peak": peaks[1]}))


def author(name: str, *rest: str) -> None:
    """Port an author's models."""
    folder("", *rest, author=name)


def sb3(models: str, scratch: str) -> None:
    """Load, ask and save every model that today's SB3 can load, one after the other."""
    import torch
    from stable_baselines3 import PPO

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    kinds = ("box-linear", "rank2", "box-unequal")
    paths = [path for kind in kinds for path in sorted(Path(models).glob(f"org/ppo-{kind}-*/*.zip"))]
    loadable = [path for path in paths if goes(PPO, path, scratch)]
    began, cpu = time.perf_counter(), time.process_time()
    for path in loadable:
        goes(PPO, path, scratch)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    told = {
        "models": len(loadable),
        "seconds": seconds,
        "cpu": cpu,
        "peak_200": resident(),
        "peak": resident(),
    }
    print(json.dumps(told))


def goes(algorithm: object, path: Path, scratch: str) -> bool:
    """Load a model, ask it for an action, and save it; say whether SB3 can."""
    try:
        model = algorithm.load(path, device="cpu")  # type: ignore[attr-defined]
        model.predict(model.observation_space.sample(), deterministic=True)
        model.save(f"{scratch}/saved.zip")
    except Exception:
        return False
    return True


def resident() -> float:
    """Give the megabytes that this process and all below it have; what they share counts for each."""
    known = {os.getpid()}
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = (int(fields[1]), int(fields[21]))
    while more := {pid for pid, (parent, _) in parents.items() if parent in known} - known:
        known |= more
    total = sum(parents[pid][1] for pid in known if pid in parents)
    return total * PAGE / 1e6


PARTS = {"folder": folder, "author": author, "sb3": sb3}

if __name__ == "__main__":
    main()
