"""What watching a training costs: rows in TensorBoard, and evaluations beside their episodes run alone.

Counted is the processor's time of all threads of this process, with one torch thread and without imports;
medians of rounds. A row is written with each rollout, so its cost is a share of one iteration, which is
`iterate` and the log in CSV and JSON. CartPole's rollouts of 256 steps are the shortest that rl_zoo3 tuned.

    python benchmarks/tracking_overhead.py
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.environments.making import make_env
from sb3port.environments.rollouts import run_episode
from sb3port.inference.actor import PortActor
from sb3port.ports.writing import write_port
from sb3port.ppo.runs.callbacks import Training
from sb3port.ppo.runs.checkpoints import checkpoint_of
from sb3port.ppo.runs.evaluating import Evaluator
from sb3port.ppo.runs.logs import TrainingLog
from sb3port.ppo.runs.stepping import maker_of
from sb3port.ppo.runs.tracked import Tracking
from sb3port.ppo.runs.trainer import Trainer

ROUNDS, ROWS = 5, 100
ENGINES = ("exact", "fast")
ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1", "LunarLander-v3")


def begun(env: str, engine: str = "exact") -> Trainer:
    """Begin a training that does not end."""
    run = {"seed": 0, "eval_episodes": 5, "engine": engine}
    return begin_training(RunOptions(env, steps=10**9, run=run), PolicyOptions(), lambda _: None)


def tensorboard(env: str, engine: str, folder: Path) -> tuple[float, float]:
    """Give the processor's seconds of an iteration, and of its row in TensorBoard."""
    out = folder / f"{env}-{engine}"
    out.mkdir()
    trainer, log = begun(env, engine), TrainingLog(out, 0)
    training, tracking = Training(trainer, out), Tracking(("tensorboard",), "ppo", False)
    tracking.on_training_start(training)

    def iterate() -> None:
        training.values = trainer.iterate().values
        log.write(training.values)

    for _ in range(3):
        iterate()
    iterations, rows = [], []
    for _ in range(ROUNDS):
        iterations += [cpu(iterate) for _ in range(3)]
        rows.append(cpu(lambda: write(tracking, training)) / ROWS)
    tracking.on_training_end(training)
    trainer.envs.close()
    return statistics.median(iterations), statistics.median(rows)


def write(tracking: Tracking, training: Training) -> None:
    """Write rows, and wait until they are in the file: what its thread does counts as well."""
    for _ in range(ROWS):
        tracking.on_log(training)
    for tracker in tracking._trackers.values():
        tracker._writer.flush()


def evaluation(env: str, folder: Path) -> float:
    """Give how much an evaluation costs beside the same episodes of the port, run alone."""
    trainer = begun(env)
    for _ in range(5):
        trainer.iterate()
    settings, spec = trainer.settings, trainer.spec
    seeds = range(10_000, 10_005)
    port = folder / f"{env}-port"
    port.mkdir()
    write_port(checkpoint_of(trainer, None), port)
    evaluator = Evaluator(spec, maker_of(settings), seeds)
    actor, alone = PortActor(port, spec), make_env(env, spec)

    def run_alone() -> None:
        for seed in seeds:
            for _ in run_episode(alone, actor, seed):
                pass

    def evaluate() -> None:
        evaluator.evaluate(trainer.engine, trainer.normaliser, 0)

    return statistics.median(cpu(evaluate) / cpu(run_alone) for _ in range(ROUNDS))


def cpu(work: Callable[[], None]) -> float:
    """Give the processor's seconds of some work."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    """Measure, and print a table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| environment | engine | an iteration, ms | its row in TensorBoard, ms | share |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for env in ENVIRONMENTS:
            for engine in ENGINES:
                one, row = tensorboard(env, engine, folder)
                print(
                    f"| {env} | {engine} | {1e3 * one:.1f} | {1e3 * row:.3f} | {row / one:.1%} |", flush=True
                )
        print("\n| environment | an evaluation, its episodes alone = 1 |\n|---|---:|")
        for env in ENVIRONMENTS:
            print(f"| {env} | {evaluation(env, folder):.2f} |", flush=True)


if __name__ == "__main__":
    main()
