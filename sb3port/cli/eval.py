"""`sb3port eval`: run a port in an environment."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.cli import options
from sb3port.cli.environment_options import with_environment
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by, with_policy
from sb3port.cli.values import one_of, whole_number
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.errors import UsageError, need
from sb3port.files.texts.plot_text import plot_text
from sb3port.files.texts.terminal import shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec
    from sb3port.commands.evaluate import Evaluation
    from sb3port.commands.policies import ReadOptions
    from sb3port.environments.given import Around
    from sb3port.environments.rollouts import Setting
    from sb3port.readers.meaning.published import PublishedResult

EXAMPLES = (
    "sb3port eval ports/ppo-Pendulum-v1 --env Pendulum-v1 --episodes 20",
    "sb3port eval runs/cartpole --last",
    "sb3port eval ports/lander --env-kwargs continuous=True --frame-stack 4",
    "sb3port eval ports/ppo-Pendulum-v1 --compare --plot a.png --video a.mp4",
)
_SHOWN = 10


class Render(StrEnum):
    """How episodes are shown."""

    HUMAN = "human"


@dataclass(frozen=True)
class _Found:
    """What there is to print."""

    port: "Evaluation"
    sb3: "Evaluation | None"
    published: "PublishedResult | None"

    @property
    def differences(self) -> list[float]:
        """Port minus SB3, for each seed."""
        pairs = zip(self.port.returns, self.sb3.returns, strict=True) if self.sb3 else ()
        return [one - other for one, other in pairs]


@with_policy
@with_environment("sb3port eval")
def evaluate(
    port: options.Port,
    env: str | None,
    around: "Around",
    reading: "ReadOptions",
    episodes: options.Episodes = 10,
    seed: options.Seed = 0,
    stochastic: options.Stochastic = False,
    n_envs: Annotated[
        int,
        typer.Option(
            "--n-envs", metavar="N", parser=whole_number(1), help="Environments stepped together, for speed."
        ),
    ] = 1,
    render: Annotated[
        Render | None,
        one_of(Render, "Show the episodes in a window.", metavar="human"),
    ] = None,
    no_masking: options.NoMasking = False,
    max_episode_steps: options.MaxEpisodeSteps = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Run the source's SB3 policy on the same seeds, too.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Where the source is now, if not where the port was made from."),
    ] = None,
    video: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Film the first episode, as .mp4 or .gif.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Draw the returns, as .png, .svg or .pdf.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the film and the picture.")] = False,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Run a port in a Gymnasium environment and print its returns.

    There is one episode per seed, and actions are deterministic unless --stochastic is given. The environment
    gets the arguments and the wrappers that it had in training, as far as we have them and unless options say
    otherwise. With --compare or --plot, the return that the authors published is looked for in results.json
    or the model card. With --quiet only the mean return is printed.
    """
    from sb3port.commands.policies import as_port, find_policy

    if source is not None and not compare:
        raise UsageError("--source says what --compare compares with", "add --compare, or drop --source")
    if compare and n_envs > 1:
        raise UsageError(
            "--compare runs one episode at a time, for batches of other sizes differ in the last bits",
            "drop --n-envs",
        )
    need("torch", "sb3port eval")
    if compare:
        need("sb3", "--compare")
    _check_files(video, plot, force)
    _check_render(render, n_envs)
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, reading.sandbox)
    policy = find_policy(port, reading, chosen_by(output), rereads=compare)
    for sentence in policy.warnings:
        output.warn(shown(sentence))
    seeds = range(seed, seed + episodes)
    setting = _setting_of(output, (policy.checkpoint.environment, env, around), seeds)
    setting = replace(
        setting,
        deterministic=not stochastic,
        n_envs=n_envs,
        render=render,
        use_masking=not no_masking,
        max_episode_steps=max_episode_steps,
    )
    with output.working(terminal("loading torch")):
        ported = policy.runnable
    with as_port(policy) as folder:
        found = _run(output, (folder, ported), setting, (compare, source, reading.sandbox), plot is not None)
        try:
            files = _write(output, found, (port, folder, setting), (video, plot), force)
        except Exception:  # the episodes have been run all the same
            _show(output, found, (port, folder), {})
            raise
        _show(output, found, (port, folder), files)


def _show(output: Output, found: _Found, port: tuple[str, Path], files: dict[str, str]) -> None:
    from sb3port.commands.evaluate import identity_of

    named, folder = port
    for sentence in found.port.warnings:
        output.warn(shown(sentence))
    content = {"port": identity_of(Path(named).name, folder), **_json(found), **files}
    if not output.result("sb3port.eval", content, terminal("{:g}", found.port.mean)):
        _print(output, found, {"port": named}, files)


def _check_files(video: Path | None, plot: Path | None, force: bool) -> None:
    from sb3port.commands.pictures import check_plot
    from sb3port.environments.video import check_video
    from sb3port.files.staging import refuse_existing_file

    for path, check in ((video, check_video), (plot, check_plot)):
        if path is not None:
            check(path)
            refuse_existing_file(path, force)


def _check_render(render: Render | None, n_envs: int) -> None:
    from sb3port.environments.video import check_display

    if render is None:
        return
    if n_envs > 1:
        raise UsageError("--render human shows one environment, not several", "drop --n-envs")
    check_display()


def _setting_of(
    output: Output, where: "tuple[EnvironmentSpec, str | None, Around]", seeds: Sequence[int]
) -> "Setting":
    from sb3port.environments.choosing import choose_environment
    from sb3port.environments.rollouts import Setting
    from sb3port.environments.wrapping import wrapping_in

    chosen = choose_environment(*where)
    wrapping = wrapping_in(chosen)
    for warning in wrapping.warnings:
        output.warn(shown(warning))
    return Setting(chosen.env_id or "", seeds, wrapping)


def _run(
    output: Output,
    port: tuple[Path, "Checkpoint"],
    setting: "Setting",
    comparison: tuple[bool, str | None, bool | None],
    plot: bool,
) -> _Found:
    from sb3port.commands.verify import read_source
    from sb3port.readers.meaning.published import published_result

    (folder, ported), (compare, label, sandbox) = port, comparison
    checkpoint = read_source(folder, label, sandbox) if compare else None
    with ExitStack() as spinner:
        spinner.enter_context(output.working(terminal("loading torch")))
        from sb3port.commands.evaluate import evaluate_port, evaluate_sb3

        result = evaluate_port(folder, setting, output.tracker(spinner, terminal("episodes")))
    with ExitStack() as spinner:
        spinner.enter_context(output.working(terminal("loading SB3")))
        track = output.tracker(spinner, terminal("episodes of SB3"))
        sb3 = evaluate_sb3(checkpoint, setting, track) if checkpoint else None
    published = published_result((checkpoint or ported).provenance) if compare or plot else None
    return _Found(result, sb3, published)


def _write(
    output: Output,
    found: _Found,
    run: tuple[str, Path, "Setting"],
    paths: tuple[Path | None, Path | None],
    force: bool,
) -> dict[str, str]:
    """Write what was asked for, and give its paths."""
    from sb3port.commands.evaluate import film_port
    from sb3port.commands.returns_plot import Returns, plot_returns

    (port, folder, setting), (video, plot) = run, paths
    if video is not None:
        with output.working(terminal("filming")):
            film_port(folder, setting, video, force)
    if plot is not None:
        count = "1 episode" if len(setting.seeds) == 1 else f"{len(setting.seeds)} episodes"
        title = plot_text("{} in {}, {}", Path(port).resolve().name, setting.env, count)
        plot_returns(Returns(title, found.port, found.sb3, found.published), plot, force)
    return {name: str(path) for name, path in zip(("video", "plot"), paths, strict=True) if path is not None}


def _json(found: _Found) -> dict[str, Any]:
    published = found.published.to_json() if found.published else None
    if found.sb3 is None:
        return {**found.port.to_json(), "published": published}
    return {
        **found.port.to_json(),
        "sb3": found.sb3.to_json(),
        "mean_difference": found.port.mean - found.sb3.mean,
        "published": published,
    }


def _print(output: Output, found: _Found, first: dict[str, str], files: dict[str, str]) -> None:
    if found.sb3 is None:
        rows = _rows(found.port, None if output.verbose else _SHOWN)
    else:
        _print_table(output, found)
        rows = _compared_rows(found)
    published = {"published": _published(found)} if found.sb3 or "plot" in files else {}
    output.fields(shown_rows({**first, **rows, **published, **files}))


def _print_table(output: Output, found: _Found) -> None:
    assert found.sb3 is not None
    columns = zip(found.port.seeds, found.port.returns, found.sb3.returns, found.differences, strict=True)
    numbers = [(str(s), f"{p:.2f}", f"{o:.2f}", f"{d:.1e}" if d else "0") for s, p, o, d in columns]
    names = ("seed", "port", "SB3", "difference")
    output.table([shown(name) for name in names], [tuple(map(shown, row)) for row in numbers])
    output.line()


def _rows(result: "Evaluation", shown: int | None) -> dict[str, str]:
    returns = ", ".join(f"{value:.2f}" for value in result.returns[:shown])
    count = len(result.seeds)
    more = f" and {count - shown} more (all of them with -v)" if shown and count > shown else ""
    return {
        **_setting(result),
        "return": _mean(result),
        **_spread(result),
        "returns": returns + more,
        "length": f"{result.mean_length:.1f} steps" + ("" if count == 1 else " (mean)"),
        **_success(result),
    }


def _compared_rows(found: _Found) -> dict[str, str]:
    assert found.sb3 is not None
    same = sum(difference == 0 for difference in found.differences)
    difference = found.port.mean - found.sb3.mean
    return {
        **_setting(found.port),
        "return": _mean(found.port),
        **_spread(found.port),
        "SB3's": _mean(found.sb3),
        "difference": f"{difference:.1e} of the means" if difference else "none of the means",
        "identical": f"{same} of {len(found.port.seeds)} episodes",
        **_success(found.port),
    }


def _setting(result: "Evaluation") -> dict[str, str]:
    count, first, last = len(result.seeds), result.seeds[0], result.seeds[-1]
    episodes = f"1, seed {first}" if count == 1 else f"{count}, seeds {first} to {last}"
    from sb3port.families.descriptions import arguments_text

    return {
        "environment": result.env,
        **({"arguments": arguments_text(result.env_kwargs)} if result.env_kwargs else {}),
        **({"wrappers": ", ".join(result.wrappers)} if result.wrappers else {}),
        "episodes": episodes + ("" if result.deterministic else ", with sampled actions"),
    }


def _mean(result: "Evaluation") -> str:
    error = f" ± {result.standard_error:.2f} (mean ± standard error)" if len(result.seeds) > 1 else ""
    return f"{result.mean:.2f}{error}"


def _spread(result: "Evaluation") -> dict[str, str]:
    return {"spread": f"{result.std:.2f} (standard deviation)"} if len(result.seeds) > 1 else {}


def _success(result: "Evaluation") -> dict[str, str]:
    """Say how often the environment called an episode a success, where it says that at all."""
    if result.success_rate is None:
        return {}
    known = [success for success in result.successes if success is not None]
    return {"success": f"{result.success_rate:.0%} ({sum(known)} of {len(known)} episodes)"}


def _published(found: _Found) -> str:
    published = found.published
    if published is None:
        return "nothing within reach"
    spread = f" ± {published.std:.2f} (mean ± standard deviation)" if published.std is not None else ""
    return f"{published.mean:.2f}{spread}, says {published.file}"
