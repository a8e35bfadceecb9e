"""Which plan holds for an environment: a file's, else the table's, else SB3's defaults."""

from pathlib import Path

from sb3port.checkpoint.checkpoint import EnvironmentSpec
from sb3port.errors import UsageError, did_you_mean
from sb3port.ppo.runs.plans import DEFAULT_STEPS, Plan
from sb3port.ppo.runs.tuned import TUNED
from sb3port.readers.meaning.zoo_config import KEYS, ZooConfig, read_zoo_config
from sb3port.readers.places.locations import meant


def plan_for(env: str, config: Path | None) -> Plan:
    """Give the plan for an environment.

    Args:
        env: Its id.
        config: A file of rl_zoo3's, which replaces the table here.

    Raises:
        UsageError: The file has no row for the environment, or asks for what training does not do.
        NotPortable: The file is damaged.
    """
    if config is None:
        return TUNED.get(env.rpartition(":")[2], Plan("SB3's defaults"))
    if not config.is_file():
        raise UsageError(f"{config} is not a file", meant(config))
    return _from_zoo(read_zoo_config(config, env), str(config))


def _from_zoo(read: ZooConfig, source: str) -> Plan:
    others = [*(wrapper.name for wrapper in read.callback), *read.unknown]
    if others:
        raise UsageError(
            f"{source} asks for {', '.join(others)}, which training does not do",
            did_you_mean(others[0], KEYS, also="leave it out of the file"),
        )
    return Plan(
        source,
        read.n_timesteps or DEFAULT_STEPS,
        read.n_envs,
        read.policy,
        read.normalize_kwargs if read.normalize else None,
        read.policy_kwargs,
        {**{k: v for k, v in read.hyperparameters.items() if k != "seed"}, **read.schedules},
        EnvironmentSpec(
            env_kwargs=read.env_kwargs,
            wrappers=(*read.env_wrapper, *read.vec_env_wrapper),
            frame_stack=read.frame_stack,
        ),
    )
