"""Changed dynamics: a wrapper that gives the body that an environment simulates other numbers.

Pendulum has `m`, `l`, `g` and `max_torque`, CartPole `length`, `masspole`, `masscart`, `gravity` and
`force_mag`. docs/finetuning.md uses it: --wrapper "dynamics:Dynamics(m=1.5)".
"""

from typing import Any

import gymnasium as gym


class Dynamics(gym.Wrapper[Any, Any, Any, Any]):
    """Set attributes of the environment itself.

    Args:
        env: Its attributes are the numbers of its equations.
        **numbers: Their new values.
    """

    def __init__(self, env: gym.Env[Any, Any], **numbers: float) -> None:
        super().__init__(env)
        inner = env.unwrapped
        for name, value in numbers.items():
            if not hasattr(inner, name):
                raise ValueError(f"{type(inner).__name__} has no {name}")
            setattr(inner, name, value)
        if hasattr(inner, "polemass_length"):  # CartPole computes these from the others, once
            inner.polemass_length = inner.masspole * inner.length
            inner.total_mass = inner.masspole + inner.masscart
