"""The callback that keeps a report of the run in its folder: Markdown, and a learning curve."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.version import __version__
from sb3port.environments.choosing import needed_words
from sb3port.errors import missing
from sb3port.families.algorithms import algorithm_of
from sb3port.families.descriptions import environment_text
from sb3port.files.staging import staged_file
from sb3port.files.texts.markdown import Markdown, code, fenced, markdown, table
from sb3port.files.texts.media import joined
from sb3port.files.texts.plot_text import PlotText, plot_text
from sb3port.files.texts.source_code import ShellCode, shell
from sb3port.ports.finding import BEST, CHECKPOINTS
from sb3port.ppo.runs.callbacks import Training, TrainingCallback
from sb3port.ppo.runs.checkpoints import pointed
from sb3port.ppo.runs.curves import EVALUATION, TRAINING, Curve, draw, thinned
from sb3port.ppo.runs.evaluations import FILE as EVALUATIONS
from sb3port.ppo.runs.evaluations import EvalResult, read_evaluations
from sb3port.ppo.runs.logs import JSON_FILE, STEPS, read_log
from sb3port.ppo.runs.settings import flat_settings

REPORT, PICTURE = "report.md", "learning_curve.png"
_SHARE = 0.03  # of the time of the training, that drawing may take while it goes on
_LAST = 10  # evaluations that are listed
_MEAN = "rollout/ep_rew_mean"


class RunReport(TrainingCallback):
    """Writes `report.md` and `learning_curve.png` at each checkpoint; without matplotlib the first alone.

    Args:
        algorithm: As `PolicySpec` names it.
    """

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm_of(algorithm).name
        self._began, self._spent = 0.0, 0.0

    def on_training_start(self, training: Training) -> None:  # noqa: ARG002
        """Look at the clock."""
        self._began = time.perf_counter()

    def on_checkpoint(self, training: Training, checkpoint: Path) -> None:  # noqa: ARG002
        """Write both anew; the picture of a short training only at its end."""
        began = time.perf_counter()
        if training.is_over or self._spent < _SHARE * (began - self._began - self._spent):
            rows = read_log(training.out / JSON_FILE)
            evaluations = read_evaluations(training.out / EVALUATIONS)
            has_picture = self._draw(training, rows, evaluations)
            text = self._report(training, evaluations, has_picture)
            with staged_file(training.out / REPORT, force=True) as staged:
                staged.write_text(f"{text}\n", encoding="utf-8")
            self._spent += time.perf_counter() - began

    def _draw(self, training: Training, rows: list[dict[str, Any]], evaluations: list[EvalResult]) -> bool:
        curves = list(run_curves(rows, evaluations))
        if missing("plot") or not curves:
            return False
        best = max(evaluations, key=lambda result: result.mean, default=None)
        mark = None if best is None else (best.timesteps, best.mean, plot_text("best {:.1f}", best.mean))
        draw(curves, self._title(training), _subtitle(training), training.out / PICTURE, mark)
        return True

    def _title(self, training: Training) -> PlotText:
        return plot_text("{} on {}", self._algorithm, training.settings.env)

    def _report(self, training: Training, evaluations: list[EvalResult], has_picture: bool) -> Markdown:
        settings = training.settings
        parts = [
            markdown("# {} on {}", self._algorithm, settings.env),
            *([markdown("![Return over steps](learning_curve.png)")] if has_picture else []),
            table([markdown(""), markdown("")], list(_facts(training))),
            *_evaluations(evaluations),
            markdown("## What it was told"),
            table(
                [markdown("setting"), markdown("value")],
                [[code(name), code(value)] for name, value in flat_settings(settings).items()],
            ),
            markdown("## Go on"),
            fenced(_commands(training)),
        ]
        return joined(Markdown, "\n\n", parts)


def run_curves(rows: Sequence[Mapping[str, Any]], evaluations: Sequence[EvalResult]) -> Iterator[Curve]:
    """Give what a run earned: in training, and with deterministic actions."""
    known = thinned([row for row in rows if row.get(_MEAN) is not None])
    if known:
        steps, means = ([row[name] for row in known] for name in (STEPS, _MEAN))
        yield Curve(plot_text("in training"), TRAINING, steps, means)
    if evaluations:
        chosen = thinned(evaluations, 500)
        means = [result.mean for result in chosen]
        spread = [float(np.std(result.returns)) for result in chosen]
        yield Curve(
            plot_text("evaluated"),
            EVALUATION,
            [result.timesteps for result in chosen],
            means,
            [mean - std for mean, std in zip(means, spread, strict=True)],
            [mean + std for mean, std in zip(means, spread, strict=True)],
            dots=True,
        )


def _subtitle(training: Training) -> PlotText:
    settings = training.settings
    seed = "" if settings.seed is None else f" · seed {settings.seed}"
    episodes = settings.eval_episodes
    evaluated = f" · band: standard deviation of {episodes} episodes" if episodes else ""
    return plot_text("return of an episode{}{}", seed, evaluated)


def _facts(training: Training) -> Iterator[list[Markdown]]:
    """Give the rows that say how the run goes."""
    settings, values = training.settings, training.values
    yield [markdown("environment"), markdown("{}", environment_text(settings.environment) or settings.env)]
    done, until = training.num_timesteps, training.total_timesteps
    yield [markdown("steps"), markdown("{:,} of {:,}", done, until)]
    mean, rate = values.get(_MEAN), values.get("rollout/success_rate")
    if mean is not None:
        yield [markdown("return in training"), markdown("{:.2f}, the mean of the last 100 episodes", mean)]
    if rate is not None:
        yield [markdown("successes in training"), markdown("{:.0%}", rate)]
    best = pointed(training.out / CHECKPOINTS, BEST)
    if best is not None and training.best_return is not None:
        place = markdown("{:.2f} with deterministic actions, {}", training.best_return, _place(best))
        yield [markdown("best"), place]
    yield [markdown("speed"), markdown("{:,.0f} steps a second, in the last iteration", values["time/fps"])]
    yield [markdown("written by"), markdown("sb3port {}", __version__)]


def _place(checkpoint: Path) -> Markdown:
    return code(f"{CHECKPOINTS}/{checkpoint.name}")


def _evaluations(evaluations: Sequence[EvalResult]) -> list[Markdown]:
    if not evaluations:
        return []
    told = any(result.successes is not None for result in evaluations)
    titles = ("steps", "return", "standard deviation", "length", *(("successes",) if told else ()))
    rows = []
    for result in evaluations[-_LAST:]:
        cells = [
            f"{result.timesteps:,}",
            f"{result.mean:.2f}",
            f"{np.std(result.returns):.2f}",
            f"{np.mean(result.lengths):.1f}",
            *([_percent(result.success_rate)] if told else []),
        ]
        rows.append([markdown("{}", cell) for cell in cells])
    count = len(evaluations[-1].returns)
    title = markdown("## Evaluations of {} episode{}", count, "" if count == 1 else "s")
    return [title, table([markdown("{}", t) for t in titles], rows, range(len(titles)))]


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.0%}"


def _commands(training: Training) -> ShellCode:
    """Give the commands that run the policy, and go on with the run."""
    again = joined(
        ShellCode, "", [shell(" {}", word) for word in needed_words(training.settings.environment)]
    )
    done, until = training.num_timesteps, training.total_timesteps
    steps = shell(" --steps {}", str(2 * done)) if done >= until else shell("")
    lines = (
        shell("sb3port eval {}{}", str(training.out), again),
        shell("sb3port train --resume {}{}{}", str(training.out), steps, again),
    )
    return joined(ShellCode, "\n", lines)
