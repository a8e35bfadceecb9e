"""Options that `train` and `finetune` share: the run, and every hyperparameter of SB3's PPO by its name."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.cli.values import BadValue, beginning_with, number, one_of, whole_number
from sb3port.errors import UsageError, did_you_mean, need

_OUT = "Folder of the run: checkpoints and logs"
Out = Annotated[Path, typer.Option(metavar="DIR", help=f"{_OUT}.", show_default=False)]
OutOfNew = Annotated[
    Path | None, typer.Option(metavar="DIR", help=f"{_OUT}; needed for a new one.", show_default=False)
]
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole_number(1),
        help="Environment steps to do, such as 100000, 100_000 or 1e5; tuned ones, or those of --config, by "
        "default.",
        show_default=False,
    ),
]


class Algorithm(StrEnum):
    """The keys of `fresh_spec.ALGORITHMS`, without importing them."""

    PPO = "ppo"
    MASKABLE = "ppo_mask"
    RECURRENT = "ppo_lstm"


class Policy(StrEnum):
    """SB3's and sb3-contrib's names of policies."""

    MLP = "MlpPolicy"
    CNN = "CnnPolicy"
    MULTI_INPUT = "MultiInputPolicy"
    MLP_LSTM = "MlpLstmPolicy"
    CNN_LSTM = "CnnLstmPolicy"
    MULTI_INPUT_LSTM = "MultiInputLstmPolicy"


class Engine(StrEnum):
    """What `engines.choosing.choose_engine` knows, without importing it."""

    AUTO = "auto"
    EXACT = "exact"
    FAST = "fast"
    AUTOGRAD = "exact-autograd"
    NUMPY = "fast-numpy"
    NUMBA = "fast-numba"


class Vectors(StrEnum):
    """How several environments are stepped."""

    DUMMY = "dummy"
    SUBPROC = "subproc"
    VECTOR = "vector"
    ENVPOOL = "envpool"
    AUTO = "auto"


class Tracker(StrEnum):
    """The keys of `tracking.table.TRACKERS`, without importing them."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    TRACKIO = "trackio"
    MLFLOW = "mlflow"


class Sampler(StrEnum):
    """`optimize.SAMPLERS`, without importing them."""

    TPE = "tpe"
    RANDOM = "random"


class Pruner(StrEnum):
    """`optimize.PRUNERS`, likewise."""

    MEDIAN = "median"
    HALVING = "halving"
    NONE = "none"


_DEVICES = ("cpu", "cuda", "mps", "xpu")


def _device(value: str) -> str:
    """Read a device; which of them there are, torch knows, but it takes its time to load."""
    kind = value.partition(":")[0]
    if kind not in _DEVICES and (hint := did_you_mean(kind, _DEVICES, cutoff=0.75)):
        raise BadValue(f"is {value[:100]!r}, which is no device of torch's", hint)
    return value


Algo = Annotated[
    Algorithm,
    one_of(Algorithm, "ppo, ppo_mask or ppo_lstm."),
]
PolicyName = Annotated[
    Policy | None,
    one_of(Policy, "SB3's policy; the one that fits by default.", "--policy"),
]
Seed = Annotated[
    int | None, typer.Option(metavar="N", parser=whole_number(0), help="Seed of all random numbers.")
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        parser=_device,
        autocompletion=beginning_with(_DEVICES),
        help="Where torch computes, such as cpu or cuda.",
    ),
]
MixedPrecision = Annotated[
    bool,
    typer.Option(
        "--mixed-precision", help="Compute networks in 16 bits, by torch's autograd: for wide ones on a GPU."
    ),
]
EngineName = Annotated[
    Engine,
    one_of(
        Engine, "exact has SB3's bits; fast is many times faster; auto takes fast where it is.", "--engine"
    ),
]
NEnvs = Annotated[
    int | None, typer.Option(metavar="N", parser=whole_number(1), help="Environments stepped together.")
]
VecEnv = Annotated[
    Vectors,
    one_of(
        Vectors,
        "dummy steps them in this process, subproc in one each, vector and envpool all at once.",
        metavar="KIND",
    ),
]
SaveEvery = Annotated[
    int | None,
    typer.Option(
        metavar="N", parser=whole_number(1), help="Steps between checkpoints; a tenth of all by default."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Hyperparameters in rl_zoo3's YAML form.", show_default=False),
]
EvalEpisodes = Annotated[
    int,
    typer.Option(
        metavar="N", parser=whole_number(0), help="Episodes of an evaluation; 0 for no evaluations."
    ),
]
EvalEvery = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole_number(1),
        help="Steps between evaluations; one of each checkpoint by default.",
    ),
]
EvalSeed = Annotated[
    int,
    typer.Option(
        metavar="N",
        parser=whole_number(0, 2**31),
        help="Seed of the first episode of an evaluation; the next count up.",
    ),
]
VideoEvery = Annotated[
    int | None,
    typer.Option(metavar="N", parser=whole_number(1), help="Steps between films of an episode."),
]
Track = Annotated[
    list[Tracker] | None,
    one_of(
        Tracker,
        "Watch it with tensorboard, wandb, trackio or mlflow; again for several.",
        "--track",
    ),
]
NormalizeKwargs = Annotated[
    str | None,
    typer.Option(metavar="DICT", help='Arguments of VecNormalize, such as "dict(norm_reward=False)".'),
]

Demonstrations = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Clone these before PPO begins: what record wrote, or a LeRobotDataset.",
        show_default=False,
    ),
]
BcEpochs = Annotated[
    int | None,
    typer.Option(metavar="N", parser=whole_number(1), help="Passes over --demonstrations; 10 by default."),
]
CriticWarmup = Annotated[
    int,
    typer.Option(
        metavar="N",
        parser=whole_number(0),
        help="Steps in which the critic and the normaliser alone learn, and the actor is frozen.",
    ),
]
KlCoef = Annotated[
    float,
    typer.Option(
        metavar="X", parser=number(), help="Weight of the divergence from the policy that PPO begins with."
    ),
]

Optimize = Annotated[
    bool,
    typer.Option("--optimize", help="Search for hyperparameters with Optuna, in rl_zoo3's search space."),
]
NTrials = Annotated[
    int,
    typer.Option(
        metavar="N", parser=whole_number(1), help="Trials of the study in --out, those it has included."
    ),
]
NStartupTrials = Annotated[
    int,
    typer.Option(metavar="N", parser=whole_number(0), help="Trials before the first is chosen by others."),
]
NEvaluations = Annotated[
    int | None,
    typer.Option(
        metavar="N", parser=whole_number(1), help="Evaluations of a trial; one in 100000 steps by default."
    ),
]
SamplerName = Annotated[Sampler, one_of(Sampler, "How trials are chosen: tpe or random.", "--sampler")]
PrunerName = Annotated[
    Pruner, one_of(Pruner, "What ends bad trials early: median, halving or none.", "--pruner")
]

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
    metavar, parser = {int: ("N", whole_number()), float: ("X", number()), str: ("X", None)}.get(
        kind, (None, None)
    )
    option = typer.Option(metavar=metavar, parser=parser, help=text, show_default=False)
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
        raise UsageError(
            f"--target-kl is {value[:200]!r}, which is no number", "give a number, or none"
        ) from error


def watching(
    track: list[Tracker] | None,
    eval_every: int | None,
    eval_episodes: int,
    eval_seed: int,
    video_every: int | None,
) -> dict[str, Any]:
    """Give how a run is watched as fields of `RunSettings`.

    Raises:
        UsageError: What that needs is not installed, or evaluations have no episodes.
    """
    names = tuple(dict.fromkeys(map(str, track or ())))
    for name in names:
        need(name, f"--track {name}")
    if video_every is not None:
        need("video", "--video-every")
    if eval_every is not None and not eval_episodes:
        raise UsageError("--eval-every needs episodes, and --eval-episodes is 0", "take 1 or more of them")
    return {
        "track": names,
        "eval_every": eval_every,
        "eval_episodes": eval_episodes,
        "eval_seed": eval_seed,
        "video_every": video_every,
    }
