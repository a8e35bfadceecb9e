"""Options that `train` and `finetune` share: the run, and every hyperparameter of SB3's PPO by its name."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sb3port.errors import UsageError

Env = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Gymnasium environment, such as Pendulum-v1.", show_default=False),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the run: checkpoints and logs.", show_default=False),
]
Seed = Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of all random numbers.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="Where torch computes, such as cpu or cuda.")]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="exact has SB3's bits; exact-autograd by autograd.")
]
NEnvs = Annotated[int | None, typer.Option(metavar="N", min=1, help="Environments stepped together.")]
VecEnv = Annotated[
    str, typer.Option(metavar="KIND", help="dummy steps them in this process, subproc in one each.")
]
SaveEvery = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Steps between checkpoints; a tenth of all by default."),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Hyperparameters in rl_zoo3's YAML form.", show_default=False),
]
EvalEpisodes = Annotated[
    int, typer.Option(metavar="N", min=0, help="Episodes that evaluate each checkpoint; 0 for none.")
]
NormalizeKwargs = Annotated[
    str | None,
    typer.Option(metavar="DICT", help='Arguments of VecNormalize, such as "dict(norm_reward=False)".'),
]

_PANEL = "SB3's hyperparameters"
# Name, type on the command line, help.
_SETTINGS: tuple[tuple[str, Any, str], ...] = (
    (
        "learning_rate",
        str,
        "Adam's step size: a number, lin_X for X going down to 0, or a formula in progress_remaining.",
    ),
    ("n_steps", int, "Steps of every environment in a rollout."),
    ("batch_size", int, "Transitions in a minibatch."),
    ("n_epochs", int, "Passes over a rollout."),
    ("gamma", float, "Discount factor."),
    ("gae_lambda", float, "Bias against variance in the advantages."),
    ("clip_range", str, "Limit of the ratio of probabilities: likewise."),
    ("clip_range_vf", str, "Limit of the change of values: likewise, or none."),
    ("normalize_advantage", bool, "Normalise advantages in each minibatch."),
    ("ent_coef", float, "Weight of the entropy bonus."),
    ("vf_coef", float, "Weight of the value loss."),
    ("max_grad_norm", float, "Length to which longer gradients are cut."),
    ("use_sde", bool, "Explore by gSDE."),
    ("sde_sample_freq", int, "Steps between exploration matrices, -1 for one per rollout."),
    ("target_kl", str, "Divergence that ends an update early, or none."),
)


R = TypeVar("R")


def with_hyperparameters(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command one option for every hyperparameter; it gets them as the dictionary `given`.

    Args:
        command: Has a parameter `given`, which is not an option.
    """

    def run(**arguments: Any) -> R:
        names = [name for name, _, _ in _SETTINGS]
        values = {name: arguments.pop(name) for name in names}
        given = {name: _read(name, value) for name, value in values.items() if value is not None}
        return command(given=given, **arguments)

    signature = inspect.signature(command)
    own = [parameter for name, parameter in signature.parameters.items() if name != "given"]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *map(_option, _SETTINGS))]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = command.__doc__
    return run


def _option(setting: tuple[str, Any, str]) -> inspect.Parameter:
    name, kind, text = setting
    wanted: Any = kind | None
    metavar = {int: "N", float: "X", str: "X", bool: None}[kind]
    option = typer.Option(metavar=metavar, help=text, show_default=False, rich_help_panel=_PANEL)
    annotation = Annotated[wanted, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _read(name: str, value: Any) -> Any:
    if name in ("clip_range_vf", "target_kl") and value == "none":
        return None
    if name != "target_kl":
        return value
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"--target-kl is {value!r}", "give a number, or none") from error
