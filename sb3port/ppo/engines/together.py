"""What every engine does otherwise where several processes learn together."""

import numpy as np
from numpy.typing import NDArray

from sb3port.ppo.engines.base import Learner


def normalised(
    advantages: NDArray[np.float32], order: NDArray[np.int64], learner: Learner
) -> NDArray[np.float32]:
    """Give each minibatch's advantages the mean 0 and the standard deviation 1, over all processes.

    One process leaves that to its engine. Several do it before an epoch, in one message for all of its
    minibatches, so that each of these needs only that with its gradient.

    Args:
        advantages: Of this process, `(N,)`.
        order: In which they are learnt from, `(N,)`.
        learner: Whose minibatches.
    """
    if learner.ranks.size == 1 or not learner.settings.normalize_advantage:
        return advantages
    ordered = advantages[order].astype(np.float64)
    begins = np.arange(0, len(order), learner.share.batch_size)
    counts = np.diff([*begins, len(order)])
    sums = np.stack([np.add.reduceat(ordered, begins), np.add.reduceat(ordered**2, begins)]) / counts
    learner.ranks.mean(sums.reshape(-1))
    mean, square = sums
    everywhere = counts * learner.ranks.size
    spread = np.sqrt(np.maximum(square - mean**2, 0) * everywhere / (everywhere - 1)) + 1e-8
    scaled = np.empty_like(advantages)
    scaled[order] = (ordered - np.repeat(mean, counts)) / np.repeat(spread, counts)
    return scaled
