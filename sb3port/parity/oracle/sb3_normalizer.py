"""SB3's own VecNormalize, built from statistics that were read statically."""

from stable_baselines3.common.running_mean_std import RunningMeanStd as Sb3RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.checkpoint.checkpoint import Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.spaces import Dict
from sb3port.networks.gymnasium_spaces import SpacesOnly


def build_normalizer(spec: PolicySpec, normalizer: Normalizer | None) -> VecNormalize | None:
    """Build SB3's VecNormalize with a checkpoint's statistics, around an environment that only has spaces."""
    if normalizer is None or not normalizer.statistics:
        return None
    statistics = {key: _sb3_statistics(rms) for key, rms in normalizer.statistics.items()}
    is_dict = isinstance(spec.observation_space, Dict)
    built = VecNormalize(
        DummyVecEnv([lambda: SpacesOnly(spec)]),
        training=False,
        clip_obs=normalizer.clip_obs,
        epsilon=normalizer.epsilon,
        norm_obs_keys=list(statistics) if is_dict else None,
    )
    built.obs_rms = statistics if is_dict else statistics[""]
    return built


def _sb3_statistics(saved: RunningMeanStd) -> Sb3RunningMeanStd:
    rms = Sb3RunningMeanStd(shape=saved.mean.shape)
    rms.mean, rms.var, rms.count = saved.mean, saved.var, saved.count
    return rms
