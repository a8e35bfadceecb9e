"""`sb3port train`: PPO from scratch, or from where a run was cut off."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sb3port.cli import options, training_options
from sb3port.cli.environment_options import with_environment
from sb3port.cli.output import Output
from sb3port.cli.processes import output_of_one, refuse_several
from sb3port.cli.search_progress import search_to_end
from sb3port.cli.training_options import watching, with_hyperparameters
from sb3port.cli.training_progress import run_to_end
from sb3port.errors import UsageError, need
from sb3port.files.texts.terminal import shown, terminal

if TYPE_CHECKING:
    from sb3port.environments.given import Around

EXAMPLES = (
    "sb3port train --env CartPole-v1 --out runs/cartpole",
    "sb3port train --env Hopper-v5 --learning-rate lin_1e-3 --out runs/hopper",
    "sb3port train --resume runs/hopper",
    "sb3port train --resume runs/cartpole --steps 200000",
    "sb3port train --env CartPole-v1 --steps 20000 --optimize --out studies/c",
)


@with_hyperparameters
@with_environment(
    "sb3port train",
    "Gymnasium environment, such as Pendulum-v1, or LeRobot's, such as lerobot:pusht; needed for a new run.",
)
def train(
    given: dict[str, Any],
    env: str | None,
    around: "Around",
    steps: training_options.Steps = None,
    out: training_options.OutOfNew = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Go on with a run; beyond its end with --steps.", show_default=False
        ),
    ] = None,
    config: training_options.Config = None,
    algo: training_options.Algo = training_options.Algorithm.PPO,
    policy: training_options.PolicyName = None,
    policy_kwargs: Annotated[
        str | None, typer.Option(metavar="DICT", help='SB3\'s, such as "dict(net_arch=[64, 64])".')
    ] = None,
    normalize: Annotated[
        bool | None, typer.Option(help="Normalise observations and rewards as VecNormalize does.")
    ] = None,
    normalize_kwargs: training_options.NormalizeKwargs = None,
    n_envs: training_options.NEnvs = None,
    no_masking: options.NoMasking = False,
    vec_env: training_options.VecEnv = training_options.Vectors.DUMMY,
    seed: training_options.Seed = 0,
    device: training_options.Device = "cpu",
    mixed_precision: training_options.MixedPrecision = False,
    engine: training_options.EngineName = training_options.Engine.EXACT,
    save_every: training_options.SaveEvery = None,
    eval_every: training_options.EvalEvery = None,
    eval_episodes: training_options.EvalEpisodes = 5,
    eval_seed: training_options.EvalSeed = 10_000,
    video_every: training_options.VideoEvery = None,
    demonstrations: training_options.Demonstrations = None,
    bc_epochs: training_options.BcEpochs = None,
    critic_warmup: training_options.CriticWarmup = 0,
    kl_coef: training_options.KlCoef = 0.0,
    track: training_options.Track = None,
    optimize: training_options.Optimize = False,
    n_trials: training_options.NTrials = 500,
    n_startup_trials: training_options.NStartupTrials = 10,
    n_evaluations: training_options.NEvaluations = None,
    sampler: training_options.SamplerName = training_options.Sampler.TPE,
    pruner: training_options.PrunerName = training_options.Pruner.MEDIAN,
    extractor: options.Extractor = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a policy with PPO, to the bit as Stable-Baselines3 does.

    Hyperparameters are tuned ones for well-known environments, SB3's defaults elsewhere. Every checkpoint is
    a port. Ctrl-C ends the training after the update that it is in, and saves. --resume goes on from there,
    with --steps to so many steps in all, as SB3's learn(reset_num_timesteps=False) does. --optimize searches
    for hyperparameters instead; the same command goes on with a study.
    """
    need("torch", "sb3port train")
    output = output_of_one(json, quiet, verbose)
    if resume is not None:
        recipe_given = demonstrations or bc_epochs or critic_warmup or kl_coef
        if out is not None or config is not None or given or optimize or recipe_given:
            raise UsageError("--resume goes on as the run was told", "drop the other options")
        _resume(output, resume, (env, around), extractor, steps)
        return
    if extractor is not None:
        raise UsageError("--extractor is for a run to --resume", "new policies have SB3's own extractors")
    if env is None or out is None:
        missing = " and ".join(name for name, value in (("--env", env), ("--out", out)) if value is None)
        raise UsageError(
            f"sb3port train needs {missing}, or --resume to go on with a run",
            f"write it like this: {EXAMPLES[0]}",
        )
    run = {
        "vec_env": vec_env.value,
        "seed": seed,
        "device": device,
        "mixed_precision": mixed_precision,
        "engine": engine.value,
        "use_masking": not no_masking,
        **watching(track, eval_every, eval_episodes, eval_seed, video_every),
    }
    if optimize:
        need("optuna", "--optimize")
        refuse_several("--optimize")
    with output.working(terminal("loading torch")):
        from sb3port.commands.train import begin_training
        from sb3port.commands.training_arguments import PolicyOptions, RunOptions
        from sb3port.ppo.runs.recipes import Recipe
        from sb3port.ppo.runs.refusals import refuse_run

        refuse_run(out)
        recipe = Recipe(critic_warmup, kl_coef, demonstrations, bc_epochs)
        how = (env, given, steps, n_envs, normalize_kwargs, save_every, config, run, around)
        told = RunOptions(*how, recipe=recipe)
        new = PolicyOptions(algo.value, policy.value if policy else None, policy_kwargs, normalize)
    if optimize:
        search = (n_trials, sampler.value, pruner.value, n_startup_trials, n_evaluations)
        search_to_end(output, told, new, search, out)
        return
    with output.working(terminal("loading torch")):
        trainer = begin_training(
            told,
            new,
            lambda source: output.stage(terminal("plan"), shown(source)),
            lambda text: output.warn(shown(text)),
        )
    run_to_end(output, trainer, None, out)


def _resume(
    output: Output,
    path: Path,
    environment: "tuple[str | None, Around]",
    extractor: str | None,
    steps: int | None,
) -> None:
    with output.working(terminal("loading torch")):
        from sb3port.commands.train import resume_run

        trainer, origin, out = resume_run(
            path, lambda text: output.warn(shown(text)), environment, extractor, steps
        )
    run_to_end(output, trainer, origin, out)
