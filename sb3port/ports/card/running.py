"""How to run a port, as commands and code that can be copied."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, PolicySpec
from sb3port.families.environment_ids import Home, LeRobotId, home_of, lerobot_id
from sb3port.families.features import input_features, mask_key
from sb3port.families.wrappers import applied
from sb3port.files.texts.markdown import Markdown, fenced, markdown
from sb3port.files.texts.media import joined
from sb3port.files.texts.source_code import PythonCode, ShellCode, python, shell


def running(checkpoint: Checkpoint, place: str, sb3_zip: str | None = None) -> Iterator[Markdown]:
    """Give the sections that tell how to run a port.

    Args:
        checkpoint: The port.
        place: Where it is: a repository's name on the Hub, or a path.
        sb3_zip: A zip beside it that today's SB3 loads, None where there is none.
    """
    yield markdown("## Run it with LeRobot")
    yield fenced(_command(checkpoint.environment, place))
    yield fenced(_in_lerobot(checkpoint, place))
    yield markdown("## Run it in plain Python")
    arguments, more = _arguments(checkpoint.spec)
    yield markdown(
        "`predict` is that of SB3's models: raw observations in, actions for the environment out.{}", more
    )
    yield fenced(_in_python(arguments, place))
    if sb3_zip is not None:
        yield markdown("## Run it with Stable-Baselines3")
        yield markdown("`load_model` unpickles nothing; SB3's own `load` takes the zip, too.")
        yield fenced(_in_sb3(checkpoint, place, sb3_zip))


def _in_sb3(checkpoint: Checkpoint, place: str, sb3_zip: str) -> PythonCode:
    return python(
        """import sb3port

model = sb3port.load_model({}).model

from huggingface_hub import hf_hub_download
{}

model = {}.load(hf_hub_download({}, {}))""",
        place,
        *_CLASSES[checkpoint.spec.algorithm],
        place,
        sb3_zip,
    )


# How each algorithm is imported, and what its class is called.
_CLASSES = {
    "ppo": (python("from stable_baselines3 import PPO"), python("PPO")),
    "a2c": (python("from stable_baselines3 import A2C"), python("A2C")),
    "trpo": (python("from sb3_contrib import TRPO"), python("TRPO")),
    "ppo_mask": (python("from sb3_contrib import MaskablePPO"), python("MaskablePPO")),
    "ppo_lstm": (python("from sb3_contrib import RecurrentPPO"), python("RecurrentPPO")),
    "sac": (python("from stable_baselines3 import SAC"), python("SAC")),
    "td3": (python("from stable_baselines3 import TD3"), python("TD3")),
    "ddpg": (python("from stable_baselines3 import DDPG"), python("DDPG")),
    "dqn": (python("from stable_baselines3 import DQN"), python("DQN")),
    "qrdqn": (python("from sb3_contrib import QRDQN"), python("QRDQN")),
    "tqc": (python("from sb3_contrib import TQC"), python("TQC")),
    "crossq": (python("from sb3_contrib import CrossQ"), python("CrossQ")),
    "ars": (python("from sb3_contrib import ARS"), python("ARS")),
}


def _command(environment: EnvironmentSpec, place: str) -> ShellCode:
    return shell(
        """pip install "lerobot_policy_ppo[eval]"
lerobot-eval --policy.path={} {} --eval.n_episodes=10 --eval.batch_size=1""",
        place,
        lerobot_options(environment),
    )


def lerobot_options(environment: EnvironmentSpec) -> ShellCode:
    """Give the options of `lerobot-eval` that make the environment of the training, wrappers included."""
    if environment.env_id is not None and (found := lerobot_id(environment.env_id)) is not None:
        return joined(ShellCode, " ", _of_lerobot(found, environment.env_kwargs))
    home = Home("ENV_ID") if environment.env_id is None else home_of(environment.env_id)
    env_kwargs = {**home.env_kwargs, **environment.env_kwargs}
    wrappers = {wrapper.name: dict(wrapper.kwargs) for wrapper in applied(environment)}
    options = [shell("--env.type=gymnasium --env.task={}", home.env_id)]
    if env_kwargs:
        options.append(shell("--env.env_kwargs={}", json.dumps(env_kwargs)))
    if wrappers:
        options.append(shell("--env.wrappers={}", json.dumps(wrappers)))
    return joined(ShellCode, " ", options)


def _of_lerobot(found: LeRobotId, fields: Mapping[str, Any]) -> Iterator[ShellCode]:
    """Give the options of an environment of LeRobot's own; what was around it, `lerobot-eval` cannot have."""
    if found.module is not None:
        yield shell("--env.discover_packages_path={}", found.module)
    yield shell("--env.type={}", found.kind)
    for name, value in fields.items():
        yield shell("--env.{}={}", name, value if isinstance(value, str) else json.dumps(value))


# The class of each type, by the algorithm; actor-critics have one together.
_POLICIES: dict[str, tuple[PythonCode, PythonCode]] = {
    "sac": (python("modeling_sb3"), python("Sb3SacPolicy")),
    "td3": (python("modeling_sb3"), python("Sb3Td3Policy")),
    "ddpg": (python("modeling_sb3"), python("Sb3DdpgPolicy")),
    "dqn": (python("modeling_sb3"), python("Sb3DqnPolicy")),
    "qrdqn": (python("modeling_sb3"), python("Sb3QrdqnPolicy")),
    "tqc": (python("modeling_sb3"), python("Sb3TqcPolicy")),
    "crossq": (python("modeling_sb3"), python("Sb3CrossqPolicy")),
    "ars": (python("modeling_sb3"), python("Sb3ArsPolicy")),
}


def _in_lerobot(checkpoint: Checkpoint, place: str) -> PythonCode:
    actor_critic = python("modeling_ppo"), python("PPOPolicy")
    module, cls = _POLICIES.get(checkpoint.spec.algorithm, actor_critic)
    return python(
        """import lerobot_policy_ppo  # registers the policy type with LeRobot
import torch
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.{} import {}

policy = {}.from_pretrained({})
preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path={})

batch = preprocess({{{}}})
action = postprocess(policy.select_action(batch))""",
        module,
        cls,
        cls,
        place,
        place,
        _batch(checkpoint),
    )


def _batch(checkpoint: Checkpoint) -> PythonCode:
    """Give an observation that runs: zeros, and a mask that allows everything."""
    spec = checkpoint.spec
    mask = mask_key(spec.observation_space) if spec.maskable else None
    rows = []
    for key, feature in input_features(spec).items():
        shape = joined(PythonCode, ", ", (python("{}", int(size)) for size in (1, *feature["shape"])))
        made = python("torch.ones({})", shape) if key == mask else python("torch.zeros({})", shape)
        rows.append(python("{}: {}", key, made))
    return joined(PythonCode, ", ", rows)


def _in_python(arguments: PythonCode, place: str) -> PythonCode:
    return python(
        """import sb3port

policy = sb3port.load_policy({})
action, state = policy.predict({})""",
        place,
        arguments,
    )


def _arguments(spec: PolicySpec) -> tuple[PythonCode, Markdown]:
    """Give the arguments of `predict`, and sentences on those beside the observation."""
    if spec.lstm_hidden_size is not None:
        more = markdown(
            "\n`state` is what it gave last, None at first; `start` says whether an episode starts."
        )
        return python("observation, state=state, episode_start=start"), more
    if spec.maskable:
        more = markdown("\n`masks` says which actions are allowed; without it, all are.")
        return python("observation, action_masks=masks"), more
    return python("observation"), markdown("")
