"""VecNormalize statistics as SB3's own VecNormalize, and as the pickle that its `save` writes."""

from pathlib import Path

from stable_baselines3.common.running_mean_std import RunningMeanStd as Sb3RunningMeanStd
from stable_baselines3.common.utils import check_shape_equal
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
    build_vecnormalize(spec, normalizer).save(str(path))


def build_vecnormalize(spec: PolicySpec, normalizer: Normalizer, env: VecEnv | None = None) -> VecNormalize:
    """Give SB3's VecNormalize, with the statistics of a checkpoint.

    Args:
        spec: Of the policy.
        normalizer: Its statistics.
        env: What to put it around; by default an environment that has nothing but spaces.

    Raises:
        AssertionError: The environment has observations of another shape.
    """
    is_dict = isinstance(spec.observation_space, Dict)
    statistics = {key: _statistics(rms) for key, rms in normalizer.statistics.items()}
    frame = frame_spec(spec, normalizer)
    spaces_only = DummyVecEnv([lambda: SpacesOnly(frame, normalizer.channels_last)])
    if env is not None:
        check_shape_equal(spaces_only.observation_space, env.observation_space)
    built = VecNormalize(
        env or spaces_only,
        norm_obs_keys=list(statistics) if is_dict and normalizer.norm_obs else None,
        **{name: getattr(normalizer, name) for name in _SETTINGS},
    )
    if normalizer.norm_obs:
        built.obs_rms = statistics if is_dict else statistics[""]
    if normalizer.ret_rms is not None:
        built.ret_rms = _statistics(normalizer.ret_rms)
    return built


def without_environment(built: VecNormalize) -> VecNormalize:
    """Give a VecNormalize that waits for `set_venv`, as one that was unpickled does."""
    waiting = VecNormalize.__new__(VecNormalize)
    waiting.__setstate__(built.__getstate__())
    return waiting


def _statistics(saved: RunningMeanStd) -> Sb3RunningMeanStd:
    rms = Sb3RunningMeanStd(shape=saved.mean.shape)
    rms.mean, rms.var, rms.count = saved.mean.copy(), saved.var.copy(), saved.count
    return rms
