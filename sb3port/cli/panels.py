"""The panels of a command's help, and in which of them each option stands, the same in every command."""

from collections.abc import Iterator, Sequence
from typing import Any

# By the names of parameters. The order here is that of the help.
PANELS: dict[str, tuple[str, ...]] = {
    "Training": ("steps", "config", "algo", "policy", "policy_kwargs", "device", "mixed_precision", "engine"),
    "Source": (
        "source",
        "author",
        "wanted",
        "last",
        "filename",
        "revision",
        "vecnormalize",
        "no_stats",
        "assume_standard_forward",
        "extractor",
        "sandbox",
        "limits",
    ),
    "Environment": (
        "env",
        "env_kwargs",
        "wrapper",
        "frame_stack",
        "no_wrappers",
        "max_episode_steps",
        "no_masking",
        "n_envs",
        "vec_env",
        "evaluate",
        "episodes",
        "no_film",
        "seed",
        "stochastic",
        "render",
    ),
    "Comparison": (
        "at",
        "compare",
        "observations",
        "exact",
        "atol",
        "no_reload",
        "reload",
        "no_verify",
        "calls",
    ),
    "Hyperparameters": (
        "normalize",
        "normalize_kwargs",
        "learning_rate",
        "n_steps",
        "batch_size",
        "n_epochs",
        "gamma",
        "gae_lambda",
        "clip_range",
        "clip_range_vf",
        "normalize_advantage",
        "ent_coef",
        "vf_coef",
        "max_grad_norm",
        "use_sde",
        "sde_sample_freq",
        "target_kl",
    ),
    "Beginning": ("demonstrations", "bc_epochs", "critic_warmup", "kl_coef"),
    "Search": ("optimize", "n_trials", "n_startup_trials", "n_evaluations", "sampler", "pruner"),
    "Checkpoints": ("resume", "save_every"),
    "Watching": ("track", "eval_every", "eval_episodes", "eval_seed", "video_every"),
    "Machines": ("jobs", "timeout", "memory", "ray"),
    "Output": (
        "scan",
        "repair",
        "export",
        "push",
        "retry",
        "out",
        "to",
        "format",
        "form",
        "strict",
        "outputs",
        "raw",
        "force",
        "private",
        "create_pr",
        "dry_run",
        "returns",
        "report_dir",
        "video",
        "plot",
        "json",
        "yaml",
        "quiet",
        "verbose",
        "version",
        "install_completion",
        "show_completion",
        "help",
    ),
}
_ARGUMENTS = "Arguments"


def panels_of(params: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Give the panels that have something in them, with their parameters in order.

    What no panel names stands at the end of the last one.
    """
    arguments = [param for param in params if param.param_type_name == "argument"]
    if arguments:
        yield _ARGUMENTS, arguments
    options = {param.name: param for param in params if param.param_type_name == "option"}
    last = list(PANELS)[-1]
    for title, names in PANELS.items():
        found = [options.pop(name) for name in names if name in options]
        if title == last:
            found += options.values()
        if found:
            yield title, found
