"""What a training shows while it runs, and at its end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sb3port.cli.output import Output
from sb3port.files.texts.media import joined
from sb3port.files.texts.source_code import ShellCode, shell
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, terminal
from sb3port.ppo.ranks.joining import leave

if TYPE_CHECKING:
    from sb3port.checkpoint.checkpoint import Checkpoint
    from sb3port.ppo.runs.running import Outcome, Watcher
    from sb3port.ppo.runs.trainer import Trainer

_SCHEMA = "sb3port.train"
_INTERRUPTED = 128 + 2  # as of a program that Ctrl-C ended


def run_to_end(output: Output, trainer: "Trainer", origin: "Checkpoint | None", out: Path) -> None:
    """Train, show how it goes, and print what came of it.

    Raises:
        TrainingDiverged: Something became NaN or infinite.
        Exit: The user asked to stop; all is saved.
    """
    from sb3port.commands import train
    from sb3port.ppo.runs.settings import overshoot

    output.stage(terminal("train"), _in_words(trainer))
    if trainer.ranks.size > 1:
        output.stage(terminal("ranks"), _ranks_in_words(trainer))
    if trainer.why_engine and not trainer.is_over:
        output.stage(terminal("engine"), shown(trainer.why_engine))
    if trainer.beginning.cloned is not None:
        output.stage(terminal("clone"), _cloned_in_words(trainer))
    if warmup := _warmup_in_words(trainer):
        output.stage(terminal("warmup"), shown(warmup))
    if not trainer.is_over and (more := overshoot(trainer.settings, trainer.counters.num_timesteps)):
        output.stage(terminal("steps"), shown(more))
    with _watching(output) as watcher:
        outcome = train.run_to_end(trainer, origin, out, watcher)
    leave()
    _print(output, outcome, out, _again(trainer))
    if outcome.interrupted:
        raise typer.Exit(_INTERRUPTED)


def _in_words(trainer: "Trainer") -> TerminalText:
    """Say what begins, or goes on."""
    from sb3port.families.descriptions import environment_text

    settings, done = trainer.settings, trainer.counters.num_timesteps
    kind = "process" if settings.vec_env == "subproc" else "environment"
    count = kind if settings.n_envs == 1 else f"{kind}{'es' if kind == 'process' else 's'}"
    steps = f"{done:,} to {settings.until:,}" if done else f"{settings.until:,}"
    if trainer.is_over:
        return terminal("{}, all of {:,} steps are done", environment_text(settings.environment), done)
    return terminal(
        "{}, {} {}, {} steps", environment_text(settings.environment), settings.n_envs, count, steps
    )


def _cloned_in_words(trainer: "Trainer") -> TerminalText:
    """Say how the demonstrations were cloned."""
    cloned = trainer.beginning.cloned
    assert cloned is not None
    first, last = cloned.losses[0], cloned.losses[-1]
    text = terminal("{:,} steps of {}", cloned.steps, trainer.settings.demonstrations or "demonstrations")
    count = len(cloned.losses)
    passes = terminal("{} epoch{}", count, "" if count == 1 else "s")
    return terminal("{}, {}, loss {:.4f} to {:.4f}", text, passes, first, last)


def _warmup_in_words(trainer: "Trainer") -> str:
    """Say what learns while the actor is frozen, nothing where it is not."""
    from sb3port.ppo.runs.recipes import warmup_in_words

    rest = trainer.settings.actor_from - trainer.counters.num_timesteps
    return "" if trainer.is_over or rest <= 0 else warmup_in_words(rest, trainer.engine.tensors())


def _ranks_in_words(trainer: "Trainer") -> TerminalText:
    """Say how the work is shared, and what that costs of exactness."""
    each, size = trainer.envs.count, trainer.ranks.size
    text = terminal("{} processes with {} environment{} each", size, each, "" if each == 1 else "s")
    if trainer.settings.engine.startswith("exact"):
        return terminal("{}; SB3's bits are those of one process", text)
    return text


@contextmanager
def _watching(output: Output) -> Iterator["Watcher"]:
    """Give who shows a progress bar on a terminal, and each checkpoint as a line."""
    from sb3port.ppo.runs.running import Watcher

    with output.progress(terminal("training")) as progress:

        def iterated(values: Mapping[str, Any]) -> None:
            mean, rate = values["rollout/ep_rew_mean"], values["time/fps"]
            text = terminal("{:,.0f} steps/s", rate)
            if mean is not None:
                text = terminal("{}, return {:.1f}", text, mean)
            progress.update(values["time/total_timesteps"], text)
            if output.verbose:
                output.stage(terminal("update"), _details(values))

        def saved(folder: Path, found: float | None) -> None:
            evaluated = "" if found is None else f", return {found:.2f} with deterministic actions"
            output.stage(terminal("saved"), terminal("{}{}", folder.name, evaluated))

        yield Watcher(progress.begin, iterated, saved)


def _details(values: "Mapping[str, Any]") -> TerminalText:
    """Say what an iteration logs, by SB3's names without their groups."""
    logged = {name.partition("/")[2]: value for name, value in values.items() if value is not None}
    steps = logged.pop("total_timesteps")
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in logged.items())
    return terminal("{:,} steps: {}", steps, numbers)


def _print(output: Output, outcome: "Outcome", out: Path, again: ShellCode) -> None:
    """Print where the policies are, and how good they are.

    Args:
        output: Where to print.
        outcome: How the training ended.
        out: The folder of the run.
        again: The options that commands on it need.
    """
    port, best = outcome.last / "pretrained_model", outcome.best
    content = {
        "out": str(out),
        "steps": outcome.steps,
        "interrupted": outcome.interrupted,
        "port": str(port),
        "best": None if best is None else str(best / "pretrained_model"),
        "best_return": outcome.best_return,
        "last_iteration": dict(outcome.values),
    }
    if output.result(_SCHEMA, content, shown(port)):
        return
    rows = {"port": str(port), "steps": f"{outcome.steps:,}"}
    mean = outcome.values.get("rollout/ep_rew_mean")
    if mean is not None:
        rows["return"] = f"{mean:.2f} (mean of the last episodes of the training)"
    if best is not None and outcome.best_return is not None:
        rows["best"] = f"{best.name}, return {outcome.best_return:.2f} with deterministic actions"
    output.fields(shown_rows(rows))
    if not outcome.interrupted:
        output.hint(terminal("run it with: {}", shell("sb3port eval {}{}", out, again)))
    steps = shell("") if outcome.interrupted else shell(" --steps {}", str(2 * outcome.steps))
    command = shell("sb3port train --resume {}{}{}", out, steps, again)
    output.hint(terminal("go on with: {}", command))


def _again(trainer: "Trainer") -> ShellCode:
    """Give the options that have to be said again, because a file alone does not decide them."""
    from sb3port.environments.choosing import needed_words
    from sb3port.families.extractors import is_own

    extractor = trainer.spec.features_extractor
    own = ("--extractor", extractor) if is_own(extractor) else ()
    words = [shell(" {}", word) for word in (*needed_words(trainer.settings.environment), *own)]
    return joined(ShellCode, "", words)
