"""Draw the pictures of the documentation anew, into docs/pictures, from the fixtures.

    python docs/making/pictures.py [report] [returns] [training] [benchmarks]

Pictures of reports need a Chromium (`chromium`, `google-chrome`, or what CHROMIUM names), which nothing
else does; so the pictures are part of the repository. It takes about two minutes.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import sb3port

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
PENDULUM = ROOT / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"
SB3_STOPPED = 32_768  # steps
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def report(scratch: Path) -> None:
    """Take pictures of two HTML reports: of a port, and of the same after somebody has edited it."""
    port = scratch / "ppo-Pendulum-v1"
    command("convert", PENDULUM, port, "--no-verify")
    rollout = ("--observations", "rollout", "--env", "Pendulum-v1")
    command("verify", port, *rollout, "--report-dir", scratch / "good")
    photograph(scratch / "good" / "parity.html", "report.png", height=640)
    config = port / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"Tanh"', '"ReLU"'), encoding="utf-8")
    command("verify", port, "--report-dir", scratch / "bad")
    photograph(scratch / "bad" / "parity.html", "report-fail.png", height=810)


def photograph(page: Path, name: str, height: int) -> None:
    """Take a picture of the beginning of a page."""
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium was found, so pictures of reports stay as they are; name one in CHROMIUM")
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    size = (f"--window-size=1100,{height}", "--force-device-scale-factor=1.25")
    target = f"--screenshot={PICTURES / name}"
    subprocess.run([browser, *flags, *size, target, page.as_uri()], check=True, capture_output=True)


def returns(scratch: Path) -> None:
    """Draw the returns of a port beside those of SB3's policy and what its author published."""
    command("convert", PENDULUM, scratch / "ppo-Pendulum-v1", "--no-verify")
    target = PICTURES / "returns.png"
    target.unlink(missing_ok=True)
    command("eval", scratch / "ppo-Pendulum-v1", "--episodes", 30, "--compare", "--plot", target)


def training(scratch: Path) -> None:
    """Draw how the return grows where `finetune` goes on."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    port = sb3port.convert(f"{PENDULUM}-half", scratch / "half", verify=False).port
    sb3port.finetune(port, scratch / "run", 50_000)
    with (scratch / "run" / "progress.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["rollout/ep_rew_mean"]]
    steps = [float(row["time/total_timesteps"]) for row in rows]
    means = [float(row["rollout/ep_rew_mean"]) for row in rows]
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(steps, means, color="#2a5db0", marker="o", markersize=3, linewidth=1.5)
    axes.axvline(SB3_STOPPED, color="#999999", linestyle="--", linewidth=1)
    axes.annotate(" SB3 stopped here", (SB3_STOPPED, means[-1]), va="top", color="#666666")
    axes.set_xlabel("steps in the environment")
    axes.set_ylabel("mean return of an episode")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURES / "training.png", dpi=150)


def command(*words: object) -> None:
    """Run a command of sb3port; `verify` may say no, of which the report tells."""
    subprocess.run([sys.executable, "-m", "sb3port", *map(str, words), "--quiet"], check=False)


def benchmarks(_: Path) -> None:
    """Draw what the benchmarks of training have found, from their results."""
    for script, drawn, name in (
        ("engine_growth", "engine_growth.png", "engines.png"),
        ("learning", "learning.png", "learning.png"),
        ("adaptation", "adaptation.png", "adaptation.png"),
    ):
        subprocess.run([sys.executable, ROOT / "benchmarks" / f"{script}.py", "--show"], check=True)
        shutil.move(ROOT / "benchmarks" / "results" / drawn, PICTURES / name)


DRAWN: dict[str, Callable[[Path], None]] = {
    "report": report,
    "returns": returns,
    "training": training,
    "benchmarks": benchmarks,
}


def main(names: list[str]) -> None:
    """Draw the pictures that are named, or all."""
    PICTURES.mkdir(exist_ok=True)
    for name in names or DRAWN:
        with tempfile.TemporaryDirectory() as scratch:
            DRAWN[name](Path(scratch))


if __name__ == "__main__":
    main(sys.argv[1:])
