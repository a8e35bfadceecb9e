"""`sb3port eval`: run a port in an environment."""

from typing import Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output


def evaluate(
    port: options.Port,
    env: Annotated[
        str,
        typer.Option(metavar="ID", help="Gymnasium environment, such as Pendulum-v1.", show_default=False),
    ],
    episodes: Annotated[int, typer.Option(min=1, help="How many episodes.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode; the next ones count up.")] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Run a port in a Gymnasium environment and print its returns, one episode per seed.

    Actions are deterministic. With --quiet only the mean is printed.

    [bold]Examples[/]

      sb3port eval ports/ppo-Pendulum-v1 --env Pendulum-v1 --episodes 20
    """
    from sb3port.evaluation import evaluate_port

    output = Output(json, quiet, verbose)
    result = evaluate_port(port, env, episodes, seed, show_progress=not (quiet or json))
    if not output.result("sb3port.eval", result.to_json(), f"{result.mean:g}"):
        returns = ", ".join(f"{value:.2f}" for value in result.returns[:10])
        more = f" and {len(result.returns) - 10} more" if len(result.returns) > 10 else ""
        rows = {
            "port": str(port),
            "environment": f"{env}, {episodes} episodes, seeds {seed} to {seed + episodes - 1}",
            "return": f"{result.mean:.2f} ± {result.standard_error:.2f} (mean ± standard error)",
            "episodes": returns + more,
            "length": f"{result.mean_length:.1f} steps",
        }
        output.fields(rows)
