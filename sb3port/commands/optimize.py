"""The search for hyperparameters, as rl_zoo3 does it: Optuna, trials that are pruned, a study to go on."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sb3port.commands.optimizing.report import write_report
from sb3port.commands.optimizing.space import SEARCHED, Sampled, converted, sample
from sb3port.commands.optimizing.storage import open_study
from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.commands.training_plans import plan_for
from sb3port.errors import TrainingDiverged, UsageError, did_you_mean, need
from sb3port.ports.finding import CHECKPOINTS
from sb3port.ppo.runs.callbacks import is_due

if TYPE_CHECKING:
    import optuna

    from sb3port.ppo.runs.trainer import Trainer

STORAGE = "study.db"
SAMPLERS, PRUNERS = ("tpe", "random"), ("median", "halving", "none")
_STEPS_PER_EVALUATION = 100_000


@dataclass(frozen=True)
class Search:
    """How to search; defaults and names are rl_zoo3's.

    Args:
        n_trials: How many trials the study shall have, those that are done included.
        sampler: "tpe" or "random".
        pruner: "median", "halving" or "none".
        n_startup_trials: Trials before sampler and pruner judge by others.
        n_evaluations: Of a trial; None for one in 100 000 steps.
    """

    n_trials: int = 500
    sampler: str = "tpe"
    pruner: str = "median"
    n_startup_trials: int = 10
    n_evaluations: int | None = None


@dataclass(frozen=True)
class Found:
    """What a study found.

    Args:
        out: Its folder.
        trials: How many there are.
        pruned: How many of them were pruned.
        best: The best one's number, None where none came to its end.
        value: Its return.
        settings: What it chose, as hyperparameters and policy_kwargs.
    """

    out: Path
    trials: int
    pruned: int
    best: int | None
    value: float | None
    settings: Mapping[str, Any]


def optimize(
    options: RunOptions,
    new: PolicyOptions,
    search: Search,
    out: Path,
    told: Callable[[int, float | None, bool], None] = lambda *_: None,
) -> Found:
    """Search, or go on with a study, until it has so many trials.

    Args:
        options: What every trial is told; its hyperparameters hold, whatever is sampled.
        new: The policy.
        search: How to search.
        out: The folder of the study.
        told: Called after each trial with its number, its return, and whether it was pruned.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    need("optuna", "--optimize")
    _refuse(options, new, search, out)
    begin_training(options, new, lambda _: None).envs.close()  # what is wrong is said before the first trial
    import optuna

    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial_of = _Trial(options, new, search)
    study = _study(options, search, out, trial_of.evaluations)
    done = len([trial for trial in study.trials if trial.state.is_finished()])
    try:
        for _ in range(done, search.n_trials):
            study.optimize(trial_of, n_trials=1)
            last = study.trials[-1]
            told(last.number, last.value, last.state.name == "PRUNED")
    finally:
        if _complete(study):
            write_report(study, options.env or "", trial_of.fixed, out)
    return _found(study, out)


class _Trial:
    """Trains and evaluates by what a trial chooses; the objective of the study."""

    def __init__(self, options: RunOptions, new: PolicyOptions, search: Search) -> None:
        self._options, self._new = options, new
        plan = plan_for(options.env or "", options.config)
        self._steps = options.steps or plan.n_timesteps
        self.evaluations = search.n_evaluations or max(1, self._steps // _STEPS_PER_EVALUATION)
        normalize = plan.normalize is not None if new.normalize is None else new.normalize
        self.fixed = {
            "n_envs": options.n_envs or plan.n_envs,
            "n_timesteps": self._steps,
            "policy": new.policy or plan.policy or "MlpPolicy",
            **({"normalize": True} if normalize else {}),
            **{name: value for name, value in plan.settings.items() if name not in SEARCHED},
            **options.given,
        }

    def __call__(self, trial: "optuna.Trial") -> float:
        import optuna

        try:
            trainer = self._begin(sample(trial))
            with closing(trainer.envs):
                return self._run(trainer, trial)
        except TrainingDiverged as error:
            raise optuna.TrialPruned from error

    def _begin(self, chosen: Sampled) -> "Trainer":
        given = {**chosen.settings, **self._options.given}
        new = replace(self._new, policy_kwargs=chosen.policy_kwargs)
        return begin_training(replace(self._options, given=given), new, lambda _: None)

    def _run(self, trainer: "Trainer", trial: "optuna.Trial") -> float:
        import optuna

        from sb3port.ppo.runs.evaluating import Evaluator
        from sb3port.ppo.runs.stepping import maker_of

        settings, every = trainer.settings, max(1, self._steps // self.evaluations)
        seeds = range(settings.eval_seed, settings.eval_seed + settings.eval_episodes)
        evaluator = Evaluator(trainer.spec, maker_of(settings), seeds, settings.use_masking)
        with closing(evaluator):
            number, value = 0, float("nan")
            while not trainer.is_over:
                before = trainer.counters.num_timesteps
                trainer.iterate()
                now = trainer.counters.num_timesteps
                if is_due(before, now, every) or trainer.is_over:
                    value = evaluator.evaluate(trainer.engine, trainer.normaliser, now).mean
                    number += 1
                    trial.report(value, number)
                    if trial.should_prune():
                        raise optuna.TrialPruned
            return value


def _refuse(options: RunOptions, new: PolicyOptions, search: Search, out: Path) -> None:
    for name, value, known in (
        ("sampler", search.sampler, SAMPLERS),
        ("pruner", search.pruner, PRUNERS),
    ):
        if value not in known:
            raise UsageError(
                f"there is no {name} {value}", did_you_mean(value, known, f"known: {', '.join(known)}")
            )
    if (out / CHECKPOINTS).exists():
        raise UsageError(f"{out} is a run, and a study is no run", "choose another place with --out")
    if new.policy_kwargs is not None:
        raise UsageError("--optimize chooses policy_kwargs itself", "drop --policy-kwargs")
    if plan_for(options.env or "", options.config).environment.wrappers:
        raise UsageError(
            f"{options.config} asks for wrappers, which the file of the best would lack",
            "leave them out of the file, and name them with --wrapper",
        )
    if not options.run.get("eval_episodes", 1):
        raise UsageError("--optimize needs evaluations, and --eval-episodes is 0", "take 1 or more of them")


def _study(options: RunOptions, search: Search, out: Path, evaluations: int) -> "optuna.Study":
    """Open the study of the folder, or begin it, under the name of the environment."""
    import optuna

    study = open_study(out / STORAGE, options.env or "")
    # A sampler that goes on must not draw again what it has drawn.
    seed = options.run.get("seed")
    seed = None if seed is None else seed + len(study.trials)
    startup = search.n_startup_trials
    study.sampler = (
        optuna.samplers.RandomSampler(seed=seed)
        if search.sampler == "random"
        else optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed, multivariate=True)
    )
    study.pruner = {
        "median": optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=evaluations // 3),
        "halving": optuna.pruners.SuccessiveHalvingPruner(
            min_resource=1, reduction_factor=4, min_early_stopping_rate=0
        ),
        "none": optuna.pruners.NopPruner(),
    }[search.pruner]
    return study


def _complete(study: "optuna.Study") -> bool:
    return any(trial.state.name == "COMPLETE" for trial in study.trials)


def _found(study: "optuna.Study", out: Path) -> Found:
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    if not _complete(study):
        return Found(out, len(study.trials), pruned, None, None, {})
    best = study.best_trial
    chosen = converted(best.params)
    settings = {**chosen.settings, "policy_kwargs": chosen.policy_kwargs}
    return Found(out, len(study.trials), pruned, best.number, best.value, settings)
