"""VecNormalize statistics as SB3's own VecNormalize, and as the pickle that its `save` writes."""

from pathlib import Path

from stable_baselines3.common.running_mean_std import RunningMeanStd as Sb3RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from sb3port.checkpoint.checkpoint import Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.spaces import Dict
from sb3port.networks.gymnasium_spaces import SpacesOnly
from sb3port.parity.oracle.sb3_normalizer import frame_spec

STATISTICS = "vec_normalize.pkl"
_SETTINGS = ("norm_obs", "norm_reward", "clip_obs", "clip_reward", "gamma", "epsilon")


def write_vecnormalize(spec: PolicySpec, normalizer: Normalizer, path: Path) -> None:
    """Write a normaliser for `VecNormalize.load`, ready for more training.

    Statistics of one frame are those of a VecNormalize that a VecFrameStack is put around.

    Raises:
        OSError: The file cannot be written.
    """
    _around_spaces(spec, normalizer).save(str(path))


def build_vecnormalize(spec: PolicySpec, normalizer: Normalizer, env: VecEnv | None) -> VecNormalize:
    """Give what `VecNormalize.load` of a written one gives, without a pickle.

    Args:
        spec: Of the policy.
        normalizer: Its statistics.
        env: What to put it around; None to leave that to its `set_venv`.

    Raises:
        AssertionError: The environment has other spaces.
    """
    built = VecNormalize.__new__(VecNormalize)
    built.__setstate__(_around_spaces(spec, normalizer).__getstate__())
    if env is not None:
        built.set_venv(env)
    return built


def _around_spaces(spec: PolicySpec, normalizer: Normalizer) -> VecNormalize:
    """Build a normaliser around an environment that only has spaces."""
    statistics = {key: _statistics(rms) for key, rms in normalizer.statistics.items()}
    is_dict = isinstance(spec.observation_space, Dict)
    frame = frame_spec(spec, normalizer)
    built = VecNormalize(
        DummyVecEnv([lambda: SpacesOnly(frame, normalizer.channels_last)]),
        norm_obs_keys=list(statistics) if is_dict and normalizer.norm_obs else None,
        **{name: getattr(normalizer, name) for name in _SETTINGS},
    )
    if normalizer.norm_obs:
        built.obs_rms = statistics if is_dict else statistics[""]
    if normalizer.ret_rms is not None:
        built.ret_rms = _statistics(normalizer.ret_rms)
    return built


def _statistics(saved: RunningMeanStd) -> Sb3RunningMeanStd:
    rms = Sb3RunningMeanStd(shape=saved.mean.shape)
    rms.mean, rms.var, rms.count = saved.mean.copy(), saved.var.copy(), saved.count
    return rms
