"""Which policy classes are ported, by the name a pickle gives them."""

from sb3port.errors import NotPortable, Unsafe
from sb3port.readers.records import Global, Record, describe

SUPPORTED_POLICIES = frozenset(
    {
        "stable_baselines3.common.policies.ActorCriticPolicy",
        "stable_baselines3.ppo.policies.MlpPolicy",
        "stable_baselines3.a2c.policies.MlpPolicy",
        "sb3_contrib.trpo.policies.MlpPolicy",
    }
)
_SUPPORTED = "supported: MlpPolicy (ActorCriticPolicy) of PPO, A2C and TRPO"
_BY_VALUE = (
    "cloudpickle.cloudpickle._make_skeleton_class",
    "cloudpickle.cloudpickle_fast._make_skeleton_class",
    "cloudpickle.cloudpickle._rehydrate_skeleton_class",
    "builtins.type",
)


def check_policy_class(value: object, where: str) -> None:
    """Make sure that a pickled `policy_class` is one that we port.

    Raises:
        Unsafe: The class itself is in the pickle, as code.
        NotPortable: It is another class; the message names it.
    """
    if isinstance(value, Record) and value.calls(*_BY_VALUE):
        name = next((arg for arg in value.args if isinstance(arg, str)), "a class of the author's own")
        raise Unsafe(
            f"{where} carries the code of its policy class {name[:200]}, which is never run", _SUPPORTED
        )
    if not isinstance(value, Global):
        raise NotPortable(f"{where} names no policy class", _SUPPORTED)
    if str(value) not in SUPPORTED_POLICIES:
        raise NotPortable(
            f"{where} has the policy class {describe(value)}, which is not supported", _SUPPORTED
        )
