"""How long `verify` takes, and how much memory, for many recorded observations.

    python benchmarks/verify_scale.py [--rows N ...]

The model has 64x64 networks and a normaliser (the Pendulum fixture); the observations are drawn, and written
as NumPy's compressed `.npz`. Every figure is that of a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).parents[1] / "fixtures/hub/sb3port/ppo-Pendulum-v1"
ROWS = (256, 10_000, 100_000, 1_000_000)
# Run in a process of its own: the imports, then the verification, then the largest memory so far.
SCRIPT = """
import json, resource, sys, time
from pathlib import Path
start = time.perf_counter()
import lerobot.policies.factory, lerobot_policy_ppo.modeling_ppo, sb3_contrib, stable_baselines3
import sb3port.parity.checks.checks
imported = time.perf_counter()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from sb3port.commands.verify import VerifyOptions, verify
report = verify(Path(sys.argv[1]), None, VerifyOptions((sys.argv[2],), reload=False))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = imported - start, time.perf_counter() - imported
print(json.dumps([str(report.verdict), report.count, *times, before // 1024, after // 1024]))
"""


def write_observations(path: Path, rows: int) -> None:
    """Draw observations as Pendulum's are."""
    rng = np.random.default_rng(0)
    angles, speeds = rng.uniform(-np.pi, np.pi, rows), rng.uniform(-8, 8, rows)
    observations = np.stack([np.cos(angles), np.sin(angles), speeds], axis=1).astype(np.float32)
    np.savez_compressed(path, observation=observations)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    arguments = parser.parse_args()
    print(f"{'rows':>9}{'verdict':>12}{'imports':>10}{'verify':>10}{'imported':>12}{'largest':>10}")
    with tempfile.TemporaryDirectory() as folder:
        port, recorded = Path(folder) / "port", Path(folder) / "many.npz"
        convert = [sys.executable, "-m", "sb3port", "convert", str(FIXTURE), str(port), "--no-verify", "-q"]
        subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
        for rows in arguments.rows:
            write_observations(recorded, rows)
            command = [sys.executable, "-c", SCRIPT, str(port), str(recorded)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            verdict, _, imports, verify, before, after = json.loads(done.stdout)
            print(f"{rows:>9}{verdict:>12}{imports:>8.2f} s{verify:>8.2f} s{before:>8} MiB{after:>6} MiB")


if __name__ == "__main__":
    main()
