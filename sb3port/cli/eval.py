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
    env: options.Env,
    episodes: options.Episodes = 10,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Run a port in a Gymnasium environment and print its returns.

    There is one episode per seed, and actions are deterministic. With --quiet only the mean return is
    printed.
    """
    output = Output(json, quiet, verbose)
    with ExitStack() as spinner:
        spinner.enter_context(output.working("loading LeRobot"))
        from sb3port.evaluation import evaluate_port

        def track(seeds: Sequence[int]) -> Iterable[int]:
            spinner.close()
            return output.track(seeds, "episodes")

        result = evaluate_port(port, env, episodes, seed, track)
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
        "episodes": f"1, seed {first}" if one else f"{count}, seeds {first} to {last}",
        "return": f"{result.mean:.2f}{error}",
        "returns": returns + more,
        "length": f"{result.mean_length:.1f} steps" + ("" if one else " (mean)"),
    }
