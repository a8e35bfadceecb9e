"""VecNormalize of observations in torch. Source: `stable_baselines3/common/vec_env/vec_normalize.py`."""

import torch
from torch import Tensor


def normalize(observations: Tensor, mean: Tensor, std: Tensor, clip_obs: float) -> Tensor:
    """Normalise observations as SB3's VecNormalize does, bit for bit.

    Args:
        observations: `(B, *shape)` of any number type.
        mean: float64, of a shape that broadcasts over the rows.
        std: The square root of variance plus epsilon, likewise.
        clip_obs: Bound of what comes out.

    Returns:
        `clip((x - mean) / std, -clip_obs, clip_obs)`, computed in float64 and returned in float32, on the
        same device.
    """
    # There is no float64 on MPS.
    device = torch.device("cpu") if observations.device.type == "mps" else observations.device
    scaled = observations.to(device).double().sub(mean).div(std).clamp(-clip_obs, clip_obs)
    return scaled.float().to(observations.device)
