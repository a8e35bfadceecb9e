"""How many steps does fine-tuning need where the dynamics change, and how many training from scratch?

    python benchmarks/adaptation.py [--conditions NAME ...] [--learners NAME ...] [--seeds N]
    python benchmarks/adaptation.py --show

Policies that were trained for one body get another one: a pole twice as long, a heavier pendulum. Each run is
a condition, a learner and a seed, and a small file in `benchmarks/results/adaptation`; a run whose file is
there is not done again, so that the work can be cut off at any time, and shared out. `--show` prints the
table of all files and draws the curves, into `benchmarks/results/adaptation.png`.

Learners:
    finetuned: `sb3port finetune` of the port, with the settings of `CONDITIONS`.
    scratch: `sb3port train` with the hyperparameters that it takes for this environment, rl_zoo3's.
    scratch-same: the same with the settings of the fine-tuning, lest these be what makes the difference.

Defined before anything was measured: returns are means of 20 episodes with deterministic actions, on the same
seeds each time. A run has won the return back at the first evaluation that is at least 95 % of the way from
what the port earns at first in the changed body to what training from scratch comes to: the median over
seeds of the mean of its last five evaluations, of the better of the two. Compared are medians over seeds, and
with that training from scratch that needs fewer steps. The settings of the fine-tuning were chosen before, on
other seeds.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
RESULTS = Path(__file__).parent / "results" / "adaptation"
FIXTURES = ROOT / "fixtures" / "hub" / "sb3port"
LEARNERS = ("finetuned", "scratch", "scratch-same")
EPISODES = 20
EVERY = 1024  # environment steps between evaluations, at least
SHARE, LAST = 0.95, 5
FIRST_SEED = 10  # the settings of fine-tuning were chosen on others
PENDULUM, CARTPOLE = "Pendulum-v1", "CartPole-v1"
SHORT = {"n_steps": 64, "n_epochs": 5}  # rollouts of 256 steps in place of 4,096
CONSTANT = {"learning_rate": 3e-3, "clip_range": 0.2}  # the port's schedules are near their ends


@dataclass(frozen=True)
class Condition:
    """A change of the dynamics.

    Args:
        title: In words.
        env: Environment id; the port is that of its fixture.
        settings: Hyperparameters of fine-tuning, where they are not the port's.
        steps: Environment steps of fine-tuning.
        scratch: Environment steps from scratch.
        numbers: As `docs/dynamics.py` sets them.
        env_kwargs: As the environment itself takes them.
    """

    title: str
    env: str
    settings: Mapping[str, Any]
    steps: int
    scratch: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    env_kwargs: Mapping[str, float] = field(default_factory=dict)


CONDITIONS = {
    "cartpole-pole": Condition(
        "CartPole, pole twice as long", CARTPOLE, CONSTANT, 15_000, 60_000, {"length": 1.0}
    ),
    "cartpole-gravity": Condition(
        "CartPole, gravity four times as strong", CARTPOLE, CONSTANT, 15_000, 60_000, {"gravity": 39.2}
    ),
    "pendulum-length": Condition("Pendulum, half as long again", PENDULUM, SHORT, 20_000, 60_000, {"l": 1.5}),
    "pendulum-mass": Condition("Pendulum, half as heavy again", PENDULUM, SHORT, 20_000, 60_000, {"m": 1.5}),
    "pendulum-gravity": Condition(
        "Pendulum, gravity half as strong again",
        PENDULUM,
        SHORT,
        20_000,
        60_000,
        env_kwargs={"g": 15.0},
    ),
}


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        name: A key of `CONDITIONS`.
        learner: One of `LEARNERS`.
        seed: Of all random numbers.
    """

    name: str
    learner: str
    seed: int

    @property
    def condition(self) -> Condition:
        """What changes."""
        return CONDITIONS[self.name]

    @property
    def file(self) -> Path:
        """Where what came of it lies."""
        return RESULTS / self.name / self.learner / f"{self.seed}.json"


def begun(run: Run) -> Any:
    """Begin the training of a run."""
    from sb3port.commands.policies import find_policy
    from sb3port.commands.train import begin_finetuning, begin_training
    from sb3port.commands.training_arguments import PolicyOptions, RunOptions
    from sb3port.environments.given import around

    condition = run.condition
    wrappers = [{"dynamics:Dynamics": dict(condition.numbers)}] if condition.numbers else []
    steps = condition.steps if run.learner == "finetuned" else condition.scratch
    told = RunOptions(
        condition.env,
        {} if run.learner == "scratch" else condition.settings,
        steps,
        run={"engine": "fast", "seed": run.seed},
        around=around(condition.env_kwargs or None, wrappers, None),
    )
    if run.learner == "finetuned":
        return begin_finetuning(find_policy(port_of(condition.env)), told, lambda _: None)[0]
    return begin_training(told, PolicyOptions(), lambda _: None)


def port_of(env: str) -> Path:
    """Port the fixture of an environment, for this process."""
    from sb3port import convert

    if env not in _PORTS:
        folder = Path(tempfile.mkdtemp(prefix="adaptation-")) / env
        _PORTS[env] = convert(FIXTURES / f"ppo-{env}", folder, verify=False).port
    return _PORTS[env]


_PORTS: dict[str, Path] = {}


class Together:
    """Evaluates in all episodes at once, which takes a tenth of the time of one after the other.

    Args:
        trainer: Whose policy.
    """

    def __init__(self, trainer: Any) -> None:
        import torch

        from sb3port.networks.actor_critic import ActorCritic
        from sb3port.ppo.engines.batches import Batches
        from sb3port.ppo.rollout.random_state import undisturbed
        from sb3port.ppo.runs.collecting import environment_actions
        from sb3port.ppo.runs.stepping import maker_of

        self._trainer, make = trainer, maker_of(trainer.settings)
        with undisturbed():
            self._policy = ActorCritic(trainer.spec).eval()
            self._envs = [make() for _ in range(EPISODES)]
        self._batches = Batches(trainer.spec, torch.device("cpu"))
        self._to_env = environment_actions(self._envs[0].action_space, trainer.spec)

    def mean_return(self) -> float:
        """Give the mean return of the policy as it is, with deterministic actions."""
        from sb3port.networks.weights import load_tensors
        from sb3port.ppo.rollout.random_state import undisturbed

        load_tensors(self._policy, self._trainer.engine.tensors())
        with undisturbed():
            return float(np.mean(self._returns()))

    def _returns(self) -> np.ndarray:
        seen = np.stack([env.reset(seed=10_000 + i)[0] for i, env in enumerate(self._envs)])
        totals, going = np.zeros(EPISODES), np.ones(EPISODES, bool)
        normaliser = self._trainer.normaliser
        while going.any():
            given = {"": seen} if normaliser is None else normaliser.normalise({"": seen})
            actions = self._to_env(self._policy.predict(self._batches(given))[0].numpy())
            for index in np.flatnonzero(going):
                seen[index], reward, terminated, truncated, _ = self._envs[index].step(actions[index])
                totals[index] += float(reward)
                going[index] = not (terminated or truncated)
        return totals


def work(run: Run) -> None:
    """Do a run, and write its file in one step."""
    began = time.process_time()
    trainer = begun(run)
    done, evaluate = trainer.counters.num_timesteps, Together(trainer).mean_return
    curve, due = [[0, round(evaluate(), 2)]], EVERY
    while not trainer.is_over:
        trainer.iterate()
        steps = trainer.counters.num_timesteps - done
        if steps >= due or trainer.is_over:
            curve.append([steps, round(evaluate(), 2)])
            due = steps + EVERY
    content = {
        "condition": run.name,
        "learner": run.learner,
        "seed": run.seed,
        "cpu_seconds": round(time.process_time() - began, 1),
        "curve": curve,
    }
    run.file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = run.file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content) + "\n", encoding="utf-8")
    unfinished.rename(run.file)
    print(f"{run.name} {run.learner} {run.seed}: {curve[0][1]} to {curve[-1][1]}", flush=True)


Curves = dict[str, list[list[list[float]]]]  # by learner, of every seed: steps and return


def curves_of(name: str) -> Curves:
    """Read the curves of a condition."""
    found: Curves = {learner: [] for learner in LEARNERS}
    for learner, curves in found.items():
        for file in sorted((RESULTS / name / learner).glob("*.json")):
            curves.append(json.loads(file.read_text(encoding="utf-8"))["curve"])
    return found


@dataclass(frozen=True)
class Found:
    """What came of a condition.

    Args:
        lost: What the port earns at first.
        trained: What training from scratch comes to.
        needed: By learner, the steps of every seed until the return is won back; infinite for never.
    """

    lost: float
    trained: float
    needed: Mapping[str, list[float]]

    @property
    def bar(self) -> float:
        """The return that counts as won back."""
        return self.lost + SHARE * (self.trained - self.lost)

    @property
    def share(self) -> float:
        """Median steps of fine-tuning, as a share of those of the faster training from scratch."""
        medians = {learner: statistics.median(steps) for learner, steps in self.needed.items()}
        return medians["finetuned"] / min(medians["scratch"], medians["scratch-same"])


def judged(curves: Curves) -> Found:
    """Tell how many steps each run needed."""
    lost = statistics.mean(curve[0][1] for curve in curves["finetuned"])
    ends = [
        statistics.median(statistics.mean(found for _, found in curve[-LAST:]) for curve in curves[learner])
        for learner in LEARNERS[1:]
    ]
    bar = Found(lost, max(ends), {}).bar
    needed = {
        learner: [next((steps for steps, found in curve if found >= bar), float("inf")) for curve in several]
        for learner, several in curves.items()
    }
    return Found(lost, max(ends), needed)


def complete() -> Iterator[tuple[str, Curves]]:
    """Give the conditions of which there are runs of every learner."""
    for name in CONDITIONS:
        curves = curves_of(name)
        if all(curves.values()):
            yield name, curves


def table() -> None:
    """Print a row for each condition."""
    columns = ("condition", "seeds", "at first", "to win back", *LEARNERS, "share")
    print(f"| {' | '.join(columns)} |")
    print(f"|---|{'---:|' * (len(columns) - 1)}")
    for name, curves in complete():
        found = judged(curves)
        cells = (
            CONDITIONS[name].title,
            str(min(map(len, curves.values()))),
            f"{found.lost:.0f}",
            f"{found.bar:.0f}",
            *(_steps(found.needed[learner]) for learner in LEARNERS),
            f"{found.share:.2f}",
        )
        print(f"| {' | '.join(cells)} |")


def _steps(needed: list[float]) -> str:
    """Give the median, and in brackets the fewest and the most."""
    low, middle, high = min(needed), statistics.median(needed), max(needed)
    words: Callable[[float], str] = lambda steps: "never" if steps == float("inf") else f"{steps:,.0f}"  # noqa: E731
    return f"{words(middle)} ({words(low)} to {words(high)})"


COLOURS = {"finetuned": "#d1662f", "scratch": "#3b6fb6", "scratch-same": "#8fb0d9"}
LABELS = {
    "finetuned": "fine-tuned",
    "scratch": "from scratch",
    "scratch-same": "from scratch, settings of the fine-tuning",
}


def draw() -> None:
    """Draw the curves: of each learner the median of its seeds, and where all of them are."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = list(complete())
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.2 * columns, 2.9 * rows), squeeze=False)
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, (name, curves) in zip(axes.flat, found, strict=False):
        for learner in LEARNERS[::-1]:
            steps = [step for step, _ in curves[learner][0]]
            returns = np.array([[value for _, value in curve] for curve in curves[learner]])
            colour = COLOURS[learner]
            axis.fill_between(steps, returns.min(0), returns.max(0), color=colour, alpha=0.15, lw=0)
            axis.plot(steps, np.median(returns, 0), color=colour, lw=1.6, label=LABELS[learner])
        axis.axhline(judged(curves).bar, color="#555555", ls=":", lw=1)
        axis.set_title(CONDITIONS[name].title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.2)
        axis.xaxis.set_major_formatter(lambda step, _: f"{step / 1e3:g}k")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], frameon=False, ncols=3, loc="lower center", fontsize=9)
    figure.supylabel("return of an episode", fontsize=10)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(RESULTS.with_suffix(".png"), dpi=90)


def main() -> None:
    """Do what is not done, or show what is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conditions", nargs="*", default=list(CONDITIONS), choices=CONDITIONS)
    parser.add_argument("--learners", nargs="*", default=LEARNERS, choices=LEARNERS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--show", action="store_true", help="print and draw what is there")
    told = parser.parse_args()
    if told.show:
        table()
        draw()
        return
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for seed in range(FIRST_SEED, FIRST_SEED + told.seeds):
        for name in told.conditions:
            for learner in told.learners:
                run = Run(name, learner, seed)
                if not run.file.exists():
                    work(run)


if __name__ == "__main__":
    main()
