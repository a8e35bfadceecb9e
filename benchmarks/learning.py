"""Does the fast engine learn what the exact one, and SB3, learn?

    python benchmarks/learning.py [--envs ENV ...] [--learners exact fast sb3 ...] [--seeds N]
    python benchmarks/learning.py --show

Every run is one environment, learner and seed with the hyperparameters that `sb3port train` takes there. What
came of it is a small file in `benchmarks/results/learning`; a run whose file is there is not done again, so
that the work can be cut off at any time, and shared out. `--show` prints the table of all files and what is
not done of `WANTED`, and draws the curves, into `benchmarks/results/learning.png`.

The return of a run is the mean over its last 100 training episodes, which is what SB3 logs; `evaluated` is
that of deterministic actions in 100 episodes (in 20 where the file does not say how many).
"""

import argparse
import json
import math
import statistics
import sys
import time
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
RESULTS = Path(__file__).parent / "results" / "learning"
_BOTH, _FAST = {"exact": 5, "fast": 5}, {"fast": 3}
WANTED: dict[str, dict[str, int]] = {  # how many seeds of each learner
    "Pendulum-v1": _BOTH,
    "CartPole-v1": _BOTH,
    "MountainCarContinuous-v0": _BOTH,
    "LunarLander-v3": _BOTH,
    # The exact engine has SB3's bits: one seed of SB3 shows that it has them in a million steps, too.
    "Hopper-v5": {"fast": 3, "exact": 3, "sb3": 1},
    "HalfCheetah-v5": {"fast": 3, "exact": 3, "sb3": 1},
    "Walker2d-v5": _FAST,
    "Swimmer-v5": _FAST,
    "Ant-v5": _FAST,
    "BipedalWalker-v3": _FAST,
}
PUBLISHED = {  # rl_zoo3's benchmark.md: deterministic, one training each, MuJoCo's as v3, LunarLander as v2
    "Pendulum-v1": -172.2,
    "CartPole-v1": 500.0,
    "MountainCarContinuous-v0": 88.3,
    "LunarLander-v3": 242.1,
    "Hopper-v5": 2410.4,
    "HalfCheetah-v5": 5819.1,
    "Walker2d-v5": 3478.8,
    "Swimmer-v5": 281.6,
    "Ant-v5": 1327.2,
    "BipedalWalker-v3": 213.3,
}
EPISODES = 100
LEARNERS = ("exact", "fast", "sb3")
POINTS = 60  # of a curve
# A plan for five million steps updates 30 times in two million: rollouts of a quarter update as often as it.
CHANGED: dict[str, tuple[int, dict[str, Any]]] = {"BipedalWalker-v3": (2_000_000, {"n_steps": 512})}


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        env: Environment id.
        learner: An engine, or "sb3".
        seed: Of all random numbers.
    """

    env: str
    learner: str
    seed: int

    @property
    def file(self) -> Path:
        """Where what came of it lies."""
        return RESULTS / self.env / self.learner / f"{self.seed}.json"

    @property
    def changed(self) -> tuple[int | None, dict[str, Any]]:
        """The steps, None for those of the plan, and the settings that are not the plan's."""
        return CHANGED.get(self.env, (None, {}))


def ours(run: Run) -> dict[str, Any]:
    """Train with sb3port."""
    from sb3port.commands.train import begin_training
    from sb3port.commands.training_arguments import PolicyOptions, RunOptions
    from sb3port.ppo.runs.evaluating import Evaluator
    from sb3port.ppo.runs.stepping import maker_of

    steps, settings = run.changed
    told = {"engine": run.learner, "seed": run.seed}
    options = RunOptions(run.env, settings, steps=steps, run=told)
    trainer = begin_training(options, PolicyOptions(), lambda _: None)
    curve = []
    while not trainer.is_over:
        values = trainer.iterate().values
        curve.append((values["time/total_timesteps"], values["rollout/ep_rew_mean"]))
    evaluator = Evaluator(trainer.spec, maker_of(trainer.settings), range(10_000, 10_000 + EPISODES))
    found = evaluator.evaluate(trainer.engine, trainer.normaliser, curve[-1][0])
    return {"curve": curve, "evaluated": float(np.mean(found.returns))}


def sb3(run: Run) -> dict[str, Any]:
    """Train with SB3, with the same plan."""
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.evaluation import evaluate_policy

    from sb3port.ppo.runs.tuned import TUNED
    from tests.ppo import sb3 as pairs
    from tests.ppo.cases import tuned

    pairs._SEED = run.seed
    steps, settings = run.changed
    case = tuned(run.env, steps or TUNED[run.env].n_timesteps, **settings)
    model, curve = pairs.build_sb3(case), []

    class Curve(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            returns = [episode["r"] for episode in self.model.ep_info_buffer]
            curve.append((self.num_timesteps, float(np.mean(returns)) if returns else None))

    model.learn(case.steps, callback=Curve())
    venv = pairs.vec_env(replace(case, n_envs=1))
    if (normaliser := model.get_vec_normalize_env()) is not None:
        venv.obs_rms, venv.training, venv.norm_reward = normaliser.obs_rms, False, False
    found, _ = evaluate_policy(model, venv, EPISODES)
    return {"curve": curve, "evaluated": float(found)}


def thinned(curve: list[tuple[int, float | None]]) -> list[list[float]]:
    """Keep some points of a curve, its last one among them."""
    seen = [[steps, round(found, 3)] for steps, found in curve if found is not None]
    every = max(1, len(seen) // POINTS)
    return seen[::-1][::every][::-1]


def work(run: Run) -> None:
    """Do a run, and write its file in one step."""
    began, wall = time.process_time(), time.perf_counter()
    found = sb3(run) if run.learner == "sb3" else ours(run)
    content = {
        "env": run.env,
        "learner": run.learner,
        "seed": run.seed,
        "steps": found["curve"][-1][0],
        "return": found["curve"][-1][1],
        "evaluated": round(found["evaluated"], 3),
        "episodes": EPISODES,
        "cpu_seconds": round(time.process_time() - began, 1),
        "seconds": round(time.perf_counter() - wall, 1),
        "curve": thinned(found["curve"]),
    }
    run.file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = run.file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content) + "\n", encoding="utf-8")
    unfinished.rename(run.file)
    print(
        f"{run.env} {run.learner} {run.seed}: {content['return']:.1f}, {content['cpu_seconds']} s", flush=True
    )


def results() -> Iterator[dict[str, Any]]:
    """Read all files."""
    for file in sorted(RESULTS.glob("*/*/*.json")):
        yield json.loads(file.read_text(encoding="utf-8"))


def table() -> None:
    """Print a row for each environment and learner, and how far learners are from the exact one."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for found in results():
        groups.setdefault((found["env"], found["learner"]), []).append(found)
    columns = (
        "environment",
        "learner",
        "seeds",
        "return",
        "evaluated",
        "steps",
        "CPU s",
        "errors from exact",
        "rl_zoo3's",
    )
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for (env, learner), found in groups.items():
        returns, evaluated = ([run[name] for run in found] for name in ("return", "evaluated"))
        base = [run["return"] for run in groups.get((env, "exact"), [])]
        cells = (
            env,
            learner,
            str(len(found)),
            _spread(returns),
            _spread(evaluated),
            f"{found[0]['steps']:,}",
            f"{statistics.mean(run['cpu_seconds'] for run in found):.0f}",
            ""
            if learner == "exact" or len(base) < 2 or len(returns) < 2
            else f"{_apart(returns, base):+.1f}",
            f"{PUBLISHED[env]:.1f}",
        )
        print(f"| {' | '.join(cells)} |")


def _spread(numbers: list[float]) -> str:
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return f"{statistics.mean(numbers):.1f} ± {deviation:.1f}"


def _apart(one: list[float], other: list[float]) -> float:
    """Give the difference of two means in standard errors of it."""
    error = math.sqrt(sum(statistics.variance(group) / len(group) for group in (one, other)))
    difference = statistics.mean(one) - statistics.mean(other)
    return difference / error if error else (0.0 if difference == 0 else math.copysign(math.inf, difference))


COLOURS = {"exact": "#3b6fb6", "fast": "#d1662f", "sb3": "#6b7280"}


def draw() -> None:
    """Overlay the curves of all seeds, learners in colours of their own."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = list(results())
    envs = sorted({run["env"] for run in found})
    columns = min((3, 4, 5), key=lambda count: (-len(envs) % count, -count))  # few places without a curve
    rows = -(-len(envs) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(3.3 * columns, 2.7 * rows), squeeze=False)
    for axis in axes.flat[len(envs) :]:
        axis.remove()
    for axis, env in zip(axes.flat, envs, strict=False):
        for run in (run for run in found if run["env"] == env):
            steps, returns = zip(*run["curve"], strict=True)
            label = run["learner"] if run["seed"] == 0 else None
            axis.plot(steps, returns, color=COLOURS.get(run["learner"]), alpha=0.7, lw=1.1, label=label)
        axis.set_title(env, fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.2)
        axis.xaxis.set_major_formatter(
            lambda steps, _: f"{steps / 1e3:g}k" if steps < 1e6 else f"{steps / 1e6:g}M"
        )
    drawn = (axis.get_legend_handles_labels() for axis in axes.flat[: len(envs)])
    named = {label: line for lines, labels in drawn for line, label in zip(lines, labels, strict=True)}
    axes.flat[0].legend(named.values(), named.keys(), frameon=False)
    figure.supxlabel("environment steps", fontsize=10)
    figure.supylabel("return, mean of the last 100 episodes", fontsize=10)
    figure.tight_layout()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=80)


def wanted(envs: Collection[str], learners: Collection[str], seeds: int) -> Iterator[Run]:
    """Give what is not done of `WANTED`, a seed of everything before the next seed of anything."""
    for seed in range(seeds):
        for env in envs:
            for learner, count in WANTED[env].items():
                run = Run(env, learner, seed)
                if learner in learners and seed < count and not run.file.exists():
                    yield run


def main() -> None:
    """Do what is not done, or show what is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envs", nargs="*", default=WANTED, choices=WANTED)
    parser.add_argument("--learners", nargs="*", default=LEARNERS, choices=LEARNERS)
    parser.add_argument("--seeds", type=int, default=max(map(max, map(dict.values, WANTED.values()))))
    parser.add_argument("--show", action="store_true", help="print and draw what is there")
    told = parser.parse_args()
    left = list(wanted(told.envs, told.learners, told.seeds))
    if told.show:
        table()
        draw()
        print("\nnot done:", ", ".join(f"{run.env} {run.learner} {run.seed}" for run in left) or "nothing")
        return
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for run in left:
        work(run)


if __name__ == "__main__":
    main()
