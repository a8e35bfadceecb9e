"""The algorithms whose checkpoints are ported.

A zip does not say which algorithm saved it, so it is recognised by its policy class, or by the settings that
only one of them has (the attributes set in `stable_baselines3/{ppo/ppo,a2c/a2c,sac/sac,td3/td3,dqn/dqn}.py`
and `sb3_contrib/{trpo/trpo,tqc/tqc,qrdqn/qrdqn,crossq/crossq,ars/ars}.py`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sb3port.errors import NotPortable

_ON_POLICY = ("n_steps", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")
_COMMON = ("n_envs", "num_timesteps", "seed", "use_sde", "sde_sample_freq")


@dataclass(frozen=True)
class Algorithm:
    """One algorithm.

    Args:
        name: As SB3's class is called.
        key: As the zoo spells it in repository names.
        signature: Settings that only this algorithm's zips have; empty where its policy class shows it.
        hyperparameters: The settings worth keeping, by SB3's own names.
        schedules: Those settings that may be schedules.
        default_rates: What SB3 takes for those that nobody gives.
        default_settings: The same for settings that older zips do not have.
        replay: The settings worth keeping that are no numbers, of an algorithm that learns from replayed
            steps.
    """

    name: str
    key: str
    signature: frozenset[str]
    hyperparameters: tuple[str, ...]
    schedules: tuple[str, ...]
    default_rates: Mapping[str, float]
    default_settings: Mapping[str, Any]
    replay: tuple[str, ...] = ()

    @property
    def trains_here(self) -> bool:
        """Whether `sb3port` can go on with its training: it can with those that learn from rollouts."""
        return "gae_lambda" in self.hyperparameters


_TRPO_ONLY = (
    "cg_max_steps",
    "cg_damping",
    "line_search_shrinking_factor",
    "line_search_max_iter",
    "n_critic_updates",
    "sub_sampling_factor",
)
_PPO_SETTINGS = (*_ON_POLICY, "batch_size", "n_epochs", "target_kl", *_COMMON)
_PPO_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")
_PPO_RATES = {"learning_rate": 3e-4, "clip_range": 0.2}
_ADVANTAGES = {"normalize_advantage": True}  # since 1.5

PPO = Algorithm(
    "PPO",
    "ppo",
    frozenset({"n_epochs", "clip_range", "target_kl"}),
    _PPO_SETTINGS,
    _PPO_SCHEDULES,
    _PPO_RATES,
    _ADVANTAGES,
)
_LIKE_PPO = (frozenset[str](), _PPO_SETTINGS, _PPO_SCHEDULES, _PPO_RATES, _ADVANTAGES)
MASKABLE_PPO = Algorithm("MaskablePPO", "ppo_mask", *_LIKE_PPO)
RECURRENT_PPO = Algorithm("RecurrentPPO", "ppo_lstm", *_LIKE_PPO)
TRPO = Algorithm(
    "TRPO",
    "trpo",
    frozenset({"cg_max_steps", "line_search_max_iter"}),
    (*_ON_POLICY, "batch_size", "target_kl", *_TRPO_ONLY, *_COMMON),
    ("learning_rate",),
    {"learning_rate": 1e-3},
    _ADVANTAGES,
)
A2C = Algorithm(
    "A2C",
    "a2c",
    frozenset({"gae_lambda", "ent_coef"}),
    (*_ON_POLICY, *_COMMON),
    ("learning_rate",),
    {"learning_rate": 7e-4},
    {"normalize_advantage": False},
)

_COUNTERS = ("_n_updates", "_episode_num")
_REPLAYED = ("gamma", "batch_size", "buffer_size", "learning_starts", "tau", "gradient_steps", "n_steps")
_REPLAY = (*_REPLAYED, "optimize_memory_usage", "use_sde_at_warmup", *_COMMON, *_COUNTERS)
_REPLAY_TEXTS = ("train_freq", "action_noise", "replay_buffer_class", "replay_buffer_kwargs")
_ENTROPY = ("ent_coef", "target_entropy")


def _replayed(
    name: str, key: str, signature: set[str], rate: float, own: tuple[str, ...], texts: tuple[str, ...] = ()
) -> Algorithm:
    """Give an algorithm that learns from replayed steps (`common/off_policy_algorithm.py`)."""
    settings, rates = (*_REPLAY, *own), {"learning_rate": rate}
    kept = (*_REPLAY_TEXTS, *texts)
    return Algorithm(name, key, frozenset(signature), settings, ("learning_rate",), rates, {}, kept)


_EXPLORATION = ("fraction", "initial_eps", "final_eps", "rate")
_GREEDY = (
    *("target_update_interval", "max_grad_norm", "_n_calls"),
    *(f"exploration_{name}" for name in _EXPLORATION),
)
_DELAYED = ("policy_delay", "target_policy_noise", "target_noise_clip")
TQC = _replayed(
    "TQC",
    "tqc",
    {"top_quantiles_to_drop_per_net"},
    3e-4,
    (*_ENTROPY, "target_update_interval", "top_quantiles_to_drop_per_net"),
    _ENTROPY,
)
SAC = _replayed(
    "SAC",
    "sac",
    {"target_entropy", "target_update_interval"},
    3e-4,
    (*_ENTROPY, "target_update_interval"),
    _ENTROPY,
)
TD3 = _replayed("TD3", "td3", {"policy_delay", "target_noise_clip"}, 1e-3, _DELAYED)
DDPG = _replayed("DDPG", "ddpg", {"policy_delay", "target_noise_clip"}, 1e-3, _DELAYED)
QRDQN = _replayed("QRDQN", "qrdqn", {"exploration_rate", "n_quantiles"}, 5e-5, _GREEDY)
DQN = _replayed("DQN", "dqn", {"exploration_rate"}, 1e-4, _GREEDY)
CROSSQ = _replayed(
    "CrossQ", "crossq", {"target_entropy", "policy_delay"}, 1e-3, (*_ENTROPY, "policy_delay"), _ENTROPY
)
_ARS_SETTINGS = ("n_delta", "n_top", "alive_bonus_offset", "zero_policy", "n_eval_episodes", "old_count")
ARS = Algorithm(
    "ARS",
    "ars",
    frozenset({"n_delta", "alive_bonus_offset"}),
    (*_ARS_SETTINGS, "n_envs", "num_timesteps", "seed", *_COUNTERS),
    ("learning_rate", "delta_std_schedule"),
    {"learning_rate": 0.02, "delta_std_schedule": 0.05},
    {},
)

# Most telling signature first: an A2C zip holds nothing that the others lack.
_REPLAYING = (TQC, CROSSQ, SAC, TD3, DDPG, QRDQN, DQN, ARS)
ALGORITHMS = (PPO, TRPO, A2C, MASKABLE_PPO, RECURRENT_PPO, *_REPLAYING)
ON_POLICY = tuple(algorithm for algorithm in ALGORITHMS if algorithm.trains_here)
SUPPORTED = ", ".join(algorithm.name for algorithm in ALGORITHMS)
_BY_KEY = {algorithm.key: algorithm for algorithm in ALGORITHMS}


def algorithm_of(key: str) -> Algorithm:
    """Give the algorithm of a key such as "ppo".

    Raises:
        NotPortable: There is none.
    """
    if key not in _BY_KEY:
        raise NotPortable(f"the algorithm {key[:200]} is unknown", f"supported: {SUPPORTED}")
    return _BY_KEY[key]


def algorithm_for(masks: bool, memory: bool) -> str:
    """Name the algorithm of SB3's and sb3-contrib's that has such policies; A2C's and TRPO's are PPO's.

    Args:
        masks: Whether the policy is told which actions are allowed.
        memory: Whether it has LSTMs.
    """
    if memory:
        return "ppo_lstm"
    return "ppo_mask" if masks else "ppo"


def display_name(key: str) -> str:
    """Give an algorithm's name for people: SB3's class name where it is known."""
    return _BY_KEY[key].name if key in _BY_KEY else key.upper()


def identify(settings: Mapping[str, Any], where: str) -> Algorithm:
    """Tell which algorithm saved a zip from its settings, where the policy class does not say.

    Raises:
        NotPortable: None of the supported ones.
    """
    if _is_early_a2c(settings):
        return A2C
    if TD3.signature <= settings.keys():
        return _td3_or_ddpg(settings)
    for algorithm in ALGORITHMS:
        if algorithm.signature and algorithm.signature <= settings.keys():
            return algorithm
    raise NotPortable(
        f"{where} was saved by an unknown algorithm, which is not supported", f"supported: {SUPPORTED}"
    )


def _td3_or_ddpg(settings: Mapping[str, Any]) -> Algorithm:
    """DDPG is a TD3 without delay and noise clipping (`stable_baselines3/ddpg/ddpg.py`)."""
    is_ddpg = settings.get("policy_delay") == 1 and settings.get("target_noise_clip") == 0
    return DDPG if is_ddpg else TD3


def _is_early_a2c(settings: Mapping[str, Any]) -> bool:
    """Until SB3 0.6 A2C was a PPO of one epoch over the whole rollout; PPO itself always has a batch size."""
    names: Collection[str] = settings.keys()
    whole = "batch_size" in names and settings["batch_size"] is None and settings.get("n_epochs") == 1
    return whole and "clip_range" in names and "normalize_advantage" in names
