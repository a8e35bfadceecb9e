"""`sb3port finetune`: go on with a port where its training stopped."""

from typing import TYPE_CHECKING, Any

from sb3port.cli import options, training_options
from sb3port.cli.environment_options import with_environment
from sb3port.cli.policy_options import chosen_by, with_policy
from sb3port.cli.processes import output_of_one
from sb3port.cli.training_options import watching, with_hyperparameters
from sb3port.cli.training_progress import run_to_end
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.errors import need
from sb3port.files.texts.terminal import shown, terminal

if TYPE_CHECKING:
    from sb3port.commands.policies import ReadOptions
    from sb3port.environments.given import Around

EXAMPLES = ("sb3port finetune ports/walker --env Walker2d-v5 --steps 50000 --out runs/w",)


@with_hyperparameters
@with_policy
@with_environment("sb3port finetune")
def finetune(
    port: options.Port,
    out: training_options.Out,
    given: dict[str, Any],
    env: str | None,
    around: "Around",
    reading: "ReadOptions",
    steps: training_options.Steps = None,
    config: training_options.Config = None,
    normalize_kwargs: training_options.NormalizeKwargs = None,
    n_envs: training_options.NEnvs = None,
    no_masking: options.NoMasking = False,
    vec_env: training_options.VecEnv = training_options.Vectors.DUMMY,
    seed: training_options.Seed = None,
    device: training_options.Device = "cpu",
    mixed_precision: training_options.MixedPrecision = False,
    engine: training_options.EngineName = training_options.Engine.EXACT,
    save_every: training_options.SaveEvery = None,
    eval_every: training_options.EvalEvery = None,
    eval_episodes: training_options.EvalEpisodes = 5,
    eval_seed: training_options.EvalSeed = 10_000,
    video_every: training_options.VideoEvery = None,
    track: training_options.Track = None,
    demonstrations: training_options.Demonstrations = None,
    bc_epochs: training_options.BcEpochs = None,
    critic_warmup: training_options.CriticWarmup = 0,
    kl_coef: training_options.KlCoef = 0.0,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Go on with a port where its training stopped, as SB3 would.

    Weights, optimiser, normaliser, schedules and hyperparameters are those of the checkpoint, where they can
    be believed. Every new checkpoint is a port. Ctrl-C ends the training after the update that it is in, and
    saves; go on with: sb3port train --resume DIR.
    """
    need("torch", "sb3port finetune")
    output = output_of_one(json, quiet, verbose)
    warn_of_missing_walls(output, reading.sandbox)
    run = {
        "vec_env": vec_env.value,
        "seed": seed,
        "device": device,
        "mixed_precision": mixed_precision,
        "engine": engine.value,
        "use_masking": not no_masking,
        **watching(track, eval_every, eval_episodes, eval_seed, video_every),
    }
    with output.working(terminal("loading torch")):
        from sb3port.commands.policies import find_policy
        from sb3port.commands.train import begin_finetuning
        from sb3port.commands.training_arguments import RunOptions
        from sb3port.ppo.runs.recipes import Recipe
        from sb3port.ppo.runs.refusals import refuse_run

        refuse_run(out)
        recipe = Recipe(critic_warmup, kl_coef, demonstrations, bc_epochs)
        how = (env, given, steps, n_envs, normalize_kwargs, save_every, config, run, around)
        policy = find_policy(port, reading, chosen_by(output))
        trainer, checkpoint = begin_finetuning(
            policy,
            RunOptions(*how, recipe=recipe),
            lambda text: output.warn(shown(text)),
        )
    run_to_end(output, trainer, checkpoint, out)
