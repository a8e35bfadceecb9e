"""How to run a port, as commands and code that can be copied."""

import json
import shlex
from collections.abc import Iterator

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, PolicySpec
from sb3port.families.features import input_features, mask_key
from sb3port.families.wrappers import applied

_LEROBOT = """```sh
pip install "lerobot_policy_ppo[eval]"
lerobot-eval --policy.path={place} --env.type=gymnasium {options} --eval.n_episodes=10 --eval.batch_size=1
```

```python
import lerobot_policy_ppo  # registers the policy type with LeRobot
import torch
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

policy = PPOPolicy.from_pretrained("{place}")
preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path="{place}")

batch = preprocess({{{batch}}})
action = postprocess(policy.select_action(batch))
```"""

_PYTHON = """`predict` is that of SB3's models: raw observations in, actions for the environment out.{more}

```python
import sb3port

policy = sb3port.load_policy("{place}")
action, state = policy.predict({arguments})
```"""


def running(checkpoint: Checkpoint, place: str) -> Iterator[str]:
    """Give the sections that tell how to run a port.

    Args:
        checkpoint: The port.
        place: Where it is: a repository's name on the Hub, or a path.
    """
    yield "## Run it with LeRobot"
    yield _LEROBOT.format(place=place, options=_options(checkpoint.environment), batch=_batch(checkpoint))
    yield "## Run it in plain Python"
    arguments, more = _arguments(checkpoint.spec)
    yield _PYTHON.format(place=place, arguments=arguments, more=more)


def _options(environment: EnvironmentSpec) -> str:
    """Give the options of `lerobot-eval` that make the environment of the training, wrappers included."""
    wrappers = {wrapper.name: dict(wrapper.kwargs) for wrapper in applied(environment)}
    options = {
        "task": environment.registered_id or "ENV_ID",
        **({"env_kwargs": json.dumps(dict(environment.env_kwargs))} if environment.env_kwargs else {}),
        **({"wrappers": json.dumps(wrappers)} if wrappers else {}),
    }
    return " ".join(f"--env.{name}={shlex.quote(value)}" for name, value in options.items())


def _batch(checkpoint: Checkpoint) -> str:
    """Give an observation that runs: zeros, and a mask that allows everything."""
    spec = checkpoint.spec
    mask = mask_key(spec.observation_space) if spec.maskable else None
    return ", ".join(
        f'"{key}": torch.{"ones" if key == mask else "zeros"}({", ".join(map(str, (1, *feature["shape"])))})'
        for key, feature in input_features(spec).items()
    )


def _arguments(spec: PolicySpec) -> tuple[str, str]:
    """Give the arguments of `predict`, and sentences on those beside the observation."""
    if spec.lstm_hidden_size is not None:
        more = "\n`state` is what it gave last, None at first; `start` says whether an episode starts."
        return "observation, state=state, episode_start=start", more
    if spec.maskable:
        more = "\n`masks` says which actions are allowed; without it, all are."
        return "observation, action_masks=masks", more
    return "observation", ""
