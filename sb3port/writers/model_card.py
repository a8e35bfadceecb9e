"""The `README.md` of a port: what it is, where it comes from, how to run it."""

import json
import shlex

from sb3port.checkpoint import Checkpoint, EnvironmentSpec, Provenance
from sb3port.descriptions import environment_text, exploration_text, networks_text
from sb3port.families.algorithms import display_name
from sb3port.features import input_features
from sb3port.wrappers import applied

_CARD = """---
library_name: lerobot
pipeline_tag: robotics
tags:
- lerobot
- ppo
- reinforcement-learning
- robotics
- stable-baselines3
{base_model}---

# {name}

{summary}

| | |
|---|---|
| source | {source} |
| checkpoint | `{checkpoint}`, sha256 `{sha256}` |
| observations | `{observation_space}` as {keys} |
| actions | `{action_space}` |
| networks | {networks}{exploration} |
| normalisation | {normalisation} |
| trained in | {environment} |
| trained for | {steps} steps |

## Run it

```
pip install "lerobot_policy_ppo[eval]"
lerobot-eval --policy.path=. --env.type=gymnasium {options} --eval.n_episodes=10 --eval.batch_size=1
```

```python
import lerobot_policy_ppo  # registers the policy type with LeRobot
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

policy = PPOPolicy.from_pretrained(".")
preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=".")
action = postprocess(policy.select_action(preprocess({{{batch}}})))
```
"""


def model_card(checkpoint: Checkpoint) -> str:
    """Write the model card of a checkpoint's port."""
    spec, provenance, normalizer = checkpoint.spec, checkpoint.provenance, checkpoint.normalizer
    file = provenance.files["checkpoint"]
    keys = list(input_features(spec))
    clip = f"VecNormalize in float64, clipped at {normalizer.clip_obs:g}" if normalizer else "none"
    return _CARD.format(
        name=provenance.name,
        base_model=f"base_model: {provenance.location}\n" if provenance.kind == "hub" else "",
        summary=_summary(checkpoint),
        source=_source(provenance),
        checkpoint=file.name,
        sha256=file.sha256,
        observation_space=spec.observation_space,
        action_space=spec.action_space,
        keys=", ".join(f"`{key}`" for key in keys),
        batch=", ".join(f'"{key}": {_variable(key)}' for key in keys),
        networks=networks_text(spec),
        exploration=f", {text}" if (text := exploration_text(spec)) else "",
        normalisation=clip,
        environment=_code(environment_text(checkpoint.environment)) or "an unknown environment",
        options=_options(checkpoint.environment),
        steps=checkpoint.training.hyperparameters.get("num_timesteps", "an unknown number of"),
    )


def _options(environment: EnvironmentSpec) -> str:
    """Give the options of `lerobot-eval` that make the environment of the training, wrappers included."""
    wrappers = {wrapper.name: dict(wrapper.kwargs) for wrapper in applied(environment)}
    options = {
        "task": environment.registered_id or "ENV_ID",
        **({"env_kwargs": json.dumps(dict(environment.env_kwargs))} if environment.env_kwargs else {}),
        **({"wrappers": json.dumps(wrappers)} if wrappers else {}),
    }
    return " ".join(f"--env.{name}={shlex.quote(value)}" for name, value in options.items())


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _summary(checkpoint: Checkpoint) -> str:
    provenance, algorithm = checkpoint.provenance, display_name(checkpoint.spec.algorithm)
    if provenance.kind == "training":
        return f"A {algorithm} policy trained with sb3port, update for update as Stable-Baselines3 does."
    version = f" {provenance.sb3_version}" if provenance.sb3_version else ""
    return (
        f"A {algorithm} policy trained with Stable-Baselines3{version}, ported to LeRobot with sb3port.\n"
        "If `parity.json` lies beside this file, it says how the port was compared with the original,\n"
        "and so does the end of this page."
    )


def _variable(key: str) -> str:
    """Name the variable that holds what a batch has under a key."""
    return "observation" if key in ("observation.state", "observation.image") else key.rpartition(".")[2]


def _source(provenance: Provenance) -> str:
    """Name the source without any path of the machine it was ported on."""
    if provenance.kind == "hub":
        return f"`{provenance.location}` at revision `{provenance.revision}`"
    if provenance.kind == "training":
        return f"trained in `{provenance.location}`"
    return f"local {provenance.kind} `{provenance.name}`"
