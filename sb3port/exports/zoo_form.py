"""How a checkpoint was trained, in the form of rl_zoo3's YAML: its hyperparameters, and `config.yml`.

The keys are those that rl_zoo3 takes itself (`ExperimentManager._preprocess_hyperparams`), and else arguments
of the algorithm, so that `rl_zoo3.train --conf-file` and `sb3port train --config` train the same again. What
rl_zoo3 gives to `eval` is written as it writes it: `dict(net_arch=dict(pi=[64], vf=[64]))`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from keyword import iskeyword
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import (
    Checkpoint,
    NetArch,
    PolicySpec,
    ReplaySpec,
    TrainingSettings,
    Wrapper,
)
from sb3port.checkpoint.schedules import ConstantSchedule, LinearSchedule, Schedule, SimpleLinearSchedule
from sb3port.checkpoint.spaces import Dict
from sb3port.exports.zoo_replay import COUNTED, replay_arguments, replay_hyperparameters
from sb3port.families.activations import NAMES
from sb3port.families.extractors import is_own
from sb3port.families.hyperparameters import true_settings
from sb3port.files.texts.yaml_text import YamlText, yaml_text

_POLICIES = {
    "FlattenExtractor": "MlpPolicy",
    "NatureCNN": "CnnPolicy",
    "CombinedExtractor": "MultiInputPolicy",
}
_WIDTHS = {"NatureCNN": {"features_dim": 512}, "CombinedExtractor": {"cnn_output_dim": 256}}
_FLAGS = {
    "ortho_init": True,
    "log_std_init": 0.0,
    "full_std": True,
    "use_expln": False,
    "squash_output": False,
    "share_features_extractor": True,
    "normalize_images": True,
}
_MEMORY = {"lstm_hidden_size": 256, "n_lstm_layers": 1, "shared_lstm": False, "enable_critic_lstm": True}
# What an algorithm takes where nothing is said.
_OPTIMIZERS = {"a2c": "RMSprop"}
# They are given otherwise, or are no arguments of the algorithm's class, although its zips have them.
_ASIDE = frozenset({"n_envs", "num_timesteps", "n_timesteps", "seed", *COUNTED})
_NO_ARGUMENTS = {
    "trpo": frozenset({"ent_coef", "vf_coef", "max_grad_norm"}),
    "ppo_mask": frozenset({"use_sde", "sde_sample_freq"}),
}
_VEC_NORMALIZE = {
    "norm_obs": True,
    "norm_reward": True,
    "clip_obs": 10.0,
    "clip_reward": 10.0,
    "epsilon": 1e-8,
}
_FILES = {"config": "config.yml", "args": "args.yml", "env_kwargs": "env_kwargs.yml"}


@dataclass(frozen=True)
class ZooForm:
    """Hyperparameters as rl_zoo3 has them.

    Args:
        content: By rl_zoo3's keys.
        left_out: Sentences on what has no form there.
    """

    content: Mapping[str, Any]
    left_out: tuple[str, ...]

    def text(self, env_id: str | None) -> YamlText:
        """Give them as a file of hyperparameters: below the environment's id, or "default"."""
        return yaml_text({env_id or "default": dict(self.content)}, self.left_out)


def zoo_form(checkpoint: Checkpoint) -> ZooForm:
    """Give the hyperparameters to train such a policy with."""
    spec, environment, settings = checkpoint.spec, checkpoint.environment, true_settings(checkpoint)
    content = {
        **_normalize(checkpoint),
        **_wrappers(environment.wrappers),
        **({"frame_stack": environment.frame_stack} if environment.frame_stack else {}),
        **_lengths(checkpoint, settings),
        "policy": _policy(spec),
        **_policy_kwargs(checkpoint),
        **_hyperparameters(settings, spec.algorithm),
        **replay_hyperparameters(checkpoint.training.replay),
        **{name: form for name, s in settings.schedules.items() if (form := _schedule(s)) is not None},
    }
    return ZooForm(content, tuple(_left_out(checkpoint, settings)))


def write_settings(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the files of rl_zoo3's that lay beside the source anew: plain values, which nothing runs.

    Args:
        checkpoint: As it is written beside them.
        folder: Where.

    Raises:
        OSError: A file cannot be written.
    """
    environment, kwargs = checkpoint.environment, dict(checkpoint.environment.env_kwargs)
    contents = {
        "config": _config(checkpoint),
        "args": {"algo": checkpoint.spec.algorithm, "env": environment.env_id, "env_kwargs": kwargs or None},
        "env_kwargs": kwargs,
    }
    for role in _FILES.keys() & checkpoint.provenance.files.keys():
        (folder / _FILES[role]).write_text(yaml_text(contents[role]).text, encoding="ascii")


def _config(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Give `config.yml`, which says of schedules what the zip beside it does."""
    if checkpoint.configured is None:
        return {}
    configured = replace(checkpoint.configured, schedules=checkpoint.training.schedules)
    if checkpoint.normalizer is None:  # whose statistics were left out
        configured = replace(configured, normalize_kwargs=None)
    return zoo_form(replace(checkpoint, configured=configured)).content


def _normalize(checkpoint: Checkpoint) -> dict[str, Any]:
    configured, normalizer = checkpoint.configured, checkpoint.normalizer
    given = configured.normalize_kwargs if configured is not None else None
    if given is None and normalizer is None:
        return {}
    if given is None:
        given = {name: getattr(normalizer, name) for name in _VEC_NORMALIZE}
        if isinstance(checkpoint.spec.observation_space, Dict) and normalizer is not None:
            given["norm_obs_keys"] = list(normalizer.statistics)
    # The algorithm's gamma is added by rl_zoo3.
    known = {**_VEC_NORMALIZE, "norm_obs_keys": None}
    named = {name: given[name] for name in known if name in given and given[name] != known[name]}
    return {"normalize": _call(named) if named else True}


def _wrappers(wrappers: tuple[Wrapper, ...]) -> dict[str, Any]:
    """Give wrappers of each environment, and those of the vector environment, by their names."""
    found: dict[str, list[Any]] = {}
    for wrapper in wrappers:
        is_vec = wrapper.name.rpartition(".")[2].startswith("Vec")
        form = {wrapper.name: _lists(wrapper.kwargs)} if wrapper.kwargs else wrapper.name
        found.setdefault("vec_env_wrapper" if is_vec else "env_wrapper", []).append(form)
    return found


def _lengths(checkpoint: Checkpoint, settings: TrainingSettings) -> dict[str, Any]:
    configured = checkpoint.configured.hyperparameters if checkpoint.configured else {}
    steps = configured.get("n_timesteps") or settings.hyperparameters.get("num_timesteps")
    lengths = {"n_envs": settings.hyperparameters.get("n_envs"), "n_timesteps": steps}
    return {name: value for name, value in lengths.items() if value}


def _policy(spec: PolicySpec) -> str:
    extractor = spec.features_extractor
    usual = "CombinedExtractor" if isinstance(spec.observation_space, Dict) else "FlattenExtractor"
    name = _POLICIES[extractor if extractor in _POLICIES else usual]
    if spec.algorithm == "ars" and not spec.net_arch.pi:
        return "LinearPolicy"
    return name if spec.lstm_hidden_size is None else name.replace("Policy", "LstmPolicy")


def _policy_kwargs(checkpoint: Checkpoint) -> dict[str, str]:
    """Give the arguments that are not SB3's defaults, as the text of a `dict`."""
    spec = checkpoint.spec
    if isinstance(spec, ReplaySpec):
        arguments = [*replay_arguments(spec), *_optimizer(checkpoint)]
        return {"policy_kwargs": f"dict({', '.join(arguments)})"} if arguments else {}
    flags = {n: getattr(spec, n) for n, default in _FLAGS.items() if getattr(spec, n) != default}
    memory = {} if spec.lstm_hidden_size is None else _MEMORY
    flags |= {n: getattr(spec, n) for n, default in memory.items() if getattr(spec, n) != default}
    arguments = [f"{name}={_expression(value)}" for name, value in flags.items()]
    layers = [] if spec.features_extractor == "NatureCNN" else [64, 64]
    arch = _separate(spec.net_arch)
    if (list(arch.pi), list(arch.vf)) != (layers, layers):
        arguments.append(f"net_arch={_call({'pi': arch.pi, 'vf': arch.vf})}")
    if spec.activation_fn in NAMES and spec.activation_fn != "Tanh":
        arguments.append(f"activation_fn=nn.{spec.activation_fn}")
    widths = dict(spec.features_extractor_kwargs)
    if widths and not is_own(spec.features_extractor) and widths != _WIDTHS.get(spec.features_extractor):
        arguments.append(f"features_extractor_kwargs={_call(widths)}")
    arguments += _optimizer(checkpoint)
    return {"policy_kwargs": f"dict({', '.join(arguments)})"} if arguments else {}


def _separate(arch: NetArch) -> NetArch:
    """Give each net its own copy of layers that both had, which SB3 has not had since 1.8."""
    return NetArch((*arch.shared, *arch.pi), (*arch.shared, *arch.vf))


def _optimizer(checkpoint: Checkpoint) -> Iterator[str]:
    """Name an optimiser that the algorithm would not take by itself; A2C has `use_rms_prop` for its own."""
    name, kwargs = checkpoint.training.optimizer_class, checkpoint.training.optimizer_kwargs
    if checkpoint.spec.algorithm == "a2c" and name == "Adam":  # for which it has a flag
        return
    if name == _OPTIMIZERS.get(checkpoint.spec.algorithm, "Adam") or not name.isidentifier():
        return
    yield f"optimizer_class={name if name == 'RMSpropTFLike' else f'th.optim.{name}'}"
    if kwargs:
        yield f"optimizer_kwargs={_call(kwargs)}"


def _hyperparameters(settings: TrainingSettings, algorithm: str) -> dict[str, Any]:
    aside = _ASIDE | _NO_ARGUMENTS.get(algorithm, frozenset())
    if not settings.hyperparameters.get("use_sde"):
        aside |= {"use_sde", "sde_sample_freq"}
    found = {n: v for n, v in settings.hyperparameters.items() if n not in aside and v is not None}
    is_adam = algorithm == "a2c" and settings.optimizer_class == "Adam"
    return {**found, "use_rms_prop": False} if is_adam else found


def _schedule(schedule: Schedule) -> float | str | None:
    """Give a number or `lin_3e-4`; None for what rl_zoo3 has no form for."""
    match schedule:
        case ConstantSchedule(val):
            return val
        case SimpleLinearSchedule(initial) | LinearSchedule(initial, 0, 1):
            return f"lin_{initial!r}"
    return None


def _left_out(checkpoint: Checkpoint, settings: TrainingSettings) -> Iterator[str]:
    spec, kwargs = checkpoint.spec, checkpoint.environment.env_kwargs
    for name, schedule in settings.schedules.items():
        if _schedule(schedule) is None:
            yield f"left out: {name} is {schedule}, for which rl_zoo3 has no form"
    for name in checkpoint.training.schedules.keys() - settings.schedules.keys():
        yield f"left out: {name}, which the file has lost"
    if spec.activation_fn not in NAMES:
        yield f"left out: activation_fn is {spec.activation_fn}, for which rl_zoo3 has no form"
    if spec.features_extractor not in _POLICIES:
        yield f"left out: features_extractor_class is {spec.features_extractor}"
    if kwargs:
        given = " ".join(f"{name}:{_expression(value)}" for name, value in kwargs.items())
        yield f"the environment's arguments are given on the command line: --env-kwargs {given}"


def _call(kwargs: Mapping[str, Any]) -> str:
    """Write the text of a `dict`, which rl_zoo3 evaluates: names that are none, and infinities, stay out."""
    written = ", ".join(
        f"{name}={_expression(value)}"
        for name, value in kwargs.items()
        if name.isidentifier() and not iskeyword(name) and value not in (math.inf, -math.inf)
    )
    return f"dict({written})"


def _expression(value: Any) -> str:
    return repr(_lists(value))


def _lists(value: Any) -> Any:
    """Give lists in place of tuples, and dictionaries in place of other mappings, which YAML has not."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value
