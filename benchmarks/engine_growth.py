"""How the cost of training grows with the number of environments, the width of layers, and minibatches.

    python benchmarks/engine_growth.py [--show]

One thread, processor time, the best of three. The first table is the whole loop in a vector Pendulum
(`benchmarks/vector_pendulum.py`): 4096 steps a rollout, minibatches of 256, twice 64 tanh. The second is one
minibatch of an update, without acting. Where engines cross is what `ppo/engines/choosing.py` knows.
Results lie in `benchmarks/results/engine_growth.json`; `--show` only prints and draws them.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import benchmarks.vector_pendulum  # noqa: F401 (registers it)

RESULTS = Path(__file__).parent / "results" / "engine_growth.json"
ENGINES = ("exact", "fast-numpy", "fast-numba")
COUNTS = (1, 4, 16, 64, 256, 1024)
WIDTHS = (32, 64, 128, 256, 512)
BATCHES = (64, 256, 1024)
ROLLOUT = 4096


def best(work: Callable[[], object], steps: int) -> float:
    """Give steps per second of processor time, the best of three rounds after one that warms up."""
    work()
    rates = []
    for _ in range(3):
        began = time.process_time()
        work()
        rates.append(steps / (time.process_time() - began))
    return max(rates)


def environments() -> dict[str, list[float]]:
    """Measure the whole loop for every number of environments."""
    from tests.ppo.sb3 import Case, begin_ours

    found: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for count in COUNTS:
        settings = {"n_steps": ROLLOUT // count, "batch_size": 256, "n_epochs": 10}
        case = Case("VectorPendulum-v1", 10**9, count, vec_env="vector", settings=settings)
        for engine in ENGINES:
            trainer = begin_ours(replace(case, engine=engine))
            found[engine].append(round(best(trainer.iterate, ROLLOUT)))
            trainer.envs.close()
        print(count, {engine: rates[-1] for engine, rates in found.items()}, flush=True)
    return found


def minibatches() -> dict[str, dict[str, list[float]]]:
    """Measure one minibatch of an update, in us, for every width and size."""
    from sb3port.ppo.engines.base import StepSizes
    from tests.ppo.sb3 import Case, begin_ours

    found: dict[str, dict[str, list[float]]] = {}
    for batch in BATCHES:
        rows = found.setdefault(str(batch), {engine: [] for engine in ENGINES})
        for width in WIDTHS:
            policy = {"net_arch": [width, width]}
            settings = {"n_steps": batch, "batch_size": batch, "n_epochs": 2}
            for engine in ENGINES:
                case = Case("Pendulum-v1", 10**9, 1, engine=engine, policy_kwargs=policy, settings=settings)
                trainer = begin_ours(case)
                rollout, sizes = trainer.collector.collect(), StepSizes(3e-4, 0.2)
                rate = best(
                    lambda t=trainer, r=rollout, s=sizes: [t.engine.update(r, s) for _ in range(5)], 10
                )
                rows[engine].append(round(1e6 / rate))
            print(batch, width, {engine: times[-1] for engine, times in rows.items()}, flush=True)
    return found


def tables(found: dict[str, Any]) -> None:
    """Print both."""
    print(f"| steps / CPU s | {' | '.join(f'{count} envs' for count in COUNTS)} |")
    print(f"|---|{'---:|' * len(COUNTS)}")
    for engine, rates in found["environments"].items():
        print(f"| {engine} | {' | '.join(f'{rate:,.0f}' for rate in rates)} |")
    print(f"\n| us per minibatch | {' | '.join(f'2 x {width}' for width in WIDTHS)} |")
    print(f"|---|{'---:|' * len(WIDTHS)}")
    for batch, rows in found["minibatches"].items():
        for engine, times in rows.items():
            print(f"| {engine}, {batch} transitions | {' | '.join(f'{spent:,.0f}' for spent in times)} |")


COLOURS = {"exact": "#3b6fb6", "fast-numpy": "#e0a43a", "fast-numba": "#d1662f"}


def draw(found: dict[str, Any]) -> None:
    """Draw both, on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.6, 3.8))
    for engine, rates in found["environments"].items():
        left.plot(COUNTS, rates, "o-", color=COLOURS[engine], label=engine, ms=4)
    left.set(xscale="log", yscale="log", xlabel="environments", title="training, steps per CPU second")
    left.set_xticks(COUNTS, map(str, COUNTS))
    for style, (batch, rows) in zip(("o:", "o-", "o--"), found["minibatches"].items(), strict=True):
        for engine, times in rows.items():
            label = f"{batch} transitions" if engine == "exact" else None
            right.plot(WIDTHS, times, style, color=COLOURS[engine], label=label, ms=3, lw=1.2)
    right.set(xscale="log", yscale="log", xlabel="width of two layers", title="us of CPU per minibatch")
    right.set_xticks(WIDTHS, map(str, WIDTHS))
    for axis in (left, right):
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.2)
        axis.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=130)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true", help="print and draw what was measured")
    if not parser.parse_args().show:
        import torch

        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        RESULTS.parent.mkdir(exist_ok=True)
        content = {"environments": environments(), "minibatches": minibatches()}
        RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    tables(found)
    draw(found)


if __name__ == "__main__":
    main()
