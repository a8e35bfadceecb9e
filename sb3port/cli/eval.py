"""`sb3port eval`: run a port in an environment."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sb3port.cli import options
from sb3port.cli.output import Output

if TYPE_CHECKING:
    from sb3port.evaluation import Evaluation

EXAMPLES = ("sb3port eval ports/ppo-Pendulum-v1 --env Pendulum-v1 --episodes 20",)
_SHOWN = 10


def evaluate(
    port: options.Port,
    env: options.Env = None,
    episodes: options.Episodes = 10,
    seed: options.Seed = 0,
    wrapper: options.OwnWrappers = None,
    no_wrappers: options.NoWrappers = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Run a port in a Gymnasium environment and print its returns.

    There is one episode per seed, and actions are deterministic. The environment gets the arguments and the
    wrappers that it had in training, as far as we have them. With --quiet only the mean return is printed.
    """
    from sb3port.port import read_environment
    from sb3port.wrapping import env_id_of, wrapping_of

    output = Output(json, quiet, verbose)
    environment = read_environment(port)
    env_id = env_id_of(environment, env)
    wrapping = wrapping_of(environment, wrapper or (), not no_wrappers)
    for warning in wrapping.warnings:
        output.warn(warning)
    with ExitStack() as spinner:
        spinner.enter_context(output.working("loading LeRobot"))
        from sb3port.evaluation import evaluate_port

        def track(seeds: Sequence[int]) -> Iterable[int]:
            spinner.close()
            return output.track(seeds, "episodes")

        result = evaluate_port(port, env_id, episodes, seed, track, wrapping)
    if not output.result("sb3port.eval", result.to_json(), f"{result.mean:g}"):
        output.fields({"port": str(port), **_rows(result, None if verbose else _SHOWN)})


def _rows(result: "Evaluation", shown: int | None) -> dict[str, str]:
    count, first, last = len(result.seeds), result.seeds[0], result.seeds[-1]
    returns = ", ".join(f"{value:.2f}" for value in result.returns[:shown])
    more = f" and {count - shown} more (all of them with -v)" if shown and count > shown else ""
    one = count == 1
    error = "" if one else f" ± {result.standard_error:.2f} (mean ± standard error)"
    return {
        "environment": result.env,
        **({"wrappers": ", ".join(result.wrappers)} if result.wrappers else {}),
        "episodes": f"1, seed {first}" if one else f"{count}, seeds {first} to {last}",
        "return": f"{result.mean:.2f}{error}",
        "returns": returns + more,
        "length": f"{result.mean_length:.1f} steps" + ("" if one else " (mean)"),
    }
