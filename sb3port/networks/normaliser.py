"""VecNormalize of observations in torch. Source: `stable_baselines3/common/vec_env/vec_normalize.py`."""

import torch
from torch import Tensor

from sb3port.checkpoint.frames import Stack


def normalize(
    observations: Tensor, mean: Tensor, std: Tensor, clip_obs: float, stack: Stack | None = None
) -> Tensor:
    """Normalise observations as SB3's VecNormalize does, bit for bit.

    Args:
        observations: `(B, *shape)` of any number type.
        mean: float64, of a shape that broadcasts over the rows.
        std: The square root of variance plus epsilon, likewise.
        clip_obs: Bound of what comes out.
        stack: How the observations are made of frames, of which those that are missing become zeros; None
            where they are not.

    Returns:
        `clip((x - mean) / std, -clip_obs, clip_obs)`, computed in float64 and returned in float32, on the
        same device.
    """
    # There is no float64 on MPS.
    device = torch.device("cpu") if observations.device.type == "mps" else observations.device
    raw = observations.to(device).double()
    scaled = raw.sub(mean).div(std).clamp(-clip_obs, clip_obs)
    if stack is not None:
        scaled = scaled.masked_fill(missing(raw, stack), 0.0)
    return scaled.float().to(observations.device)


def missing(observations: Tensor, stack: Stack) -> Tensor:
    """Say which numbers are of frames that are not there; see `sb3port.checkpoint.frames.missing`.

    Args:
        observations: Raw, float `(B, *shape)` or `(B, n)`.
        stack: How their frames lie.

    Returns:
        bool, of the shape of `observations`.
    """
    frames = observations.reshape(-1, *stack.shape)
    # A negative zero is there: its reciprocal is negative.
    there = ((frames != 0) | (frames.reciprocal() < 0)).any(dim=3).any(dim=1)
    absent = there[:, :-1].long().cumsum(dim=1) == 0
    absent = torch.cat([absent, torch.zeros_like(absent[:, :1])], dim=1)
    return absent[:, None, :, None].expand(frames.shape).reshape(observations.shape)
