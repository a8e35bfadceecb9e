"""A port as its users load it: through LeRobot, from the saved folder, through both processor pipelines."""

import contextlib
import io
from pathlib import Path

import numpy as np
import torch
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

from sb3port.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.parity.outputs import Outputs, flat_actions
from sb3port.port import OBSERVATION_KEY


class Port:
    """A port loaded with LeRobot.

    Raises:
        NotPortable: LeRobot cannot load it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            # LeRobot prints while it loads, and our stdout carries nothing but the result.
            with contextlib.redirect_stdout(io.StringIO()):
                self.policy = PPOPolicy.from_pretrained(folder)
                self.preprocess, self.postprocess = make_pre_post_processors(
                    self.policy.config, pretrained_path=str(folder)
                )
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError) as error:
            raise NotPortable(f"LeRobot cannot load the port {folder}: {str(error)[:500]}") from error

    @torch.no_grad()
    def outputs(self, observations: Array, sampled: Array) -> Outputs:
        """Compute everything that is compared, on one batch; the arguments are those of `Oracle.outputs`."""
        batch = self.preprocess({OBSERVATION_KEY: torch.as_tensor(observations).flatten(1)})
        mode, _ = self.policy.predict(batch, deterministic=True)
        action = self.postprocess(self.policy.select_action(batch))
        values, log_prob, entropy = self.policy.evaluate_actions(batch, flat_actions(sampled))
        return Outputs(
            normalized_observation=batch[OBSERVATION_KEY].numpy().reshape(observations.shape),
            mode=mode.numpy().reshape(sampled.shape),
            action=action.numpy().reshape(sampled.shape),
            value=values.numpy(),
            log_prob=log_prob.numpy(),
            entropy=None if entropy is None else entropy.numpy(),
        )

    @torch.no_grad()
    def act(self, observation: Array) -> Array:
        """Give the deterministic action for one raw observation, flat."""
        batch = self.preprocess({OBSERVATION_KEY: torch.from_numpy(np.asarray(observation).reshape(1, -1))})
        return np.asarray(self.postprocess(self.policy.select_action(batch)).numpy()[0])
