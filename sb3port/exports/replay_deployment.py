"""A policy of several networks with all that belongs around it, as one torch module; see `Deployment`."""

from torch import Tensor, nn
from typing_extensions import override

from sb3port.checkpoint.checkpoint import Checkpoint, PolicySpec, ReplaySpec
from sb3port.exports.deployment import Deployment, refuse_absent
from sb3port.exports.graphs import GraphOptions
from sb3port.families.registry import family_of
from sb3port.networks.weights import build_replay_policy

# What each kind of network gives beside actions.
_GIVEN = {"choices": ("q_value",), "quantiles": ("q_value", "quantiles"), "critics": ("q_value",)}
_GIVEN |= {"quantile_critics": ("quantiles",)}


def make_deployment(checkpoint: Checkpoint, options: GraphOptions) -> Deployment:
    """Make the module of a policy.

    Raises:
        UsageError: An output is asked that the policy does not have.
    """
    made = ReplayDeployment if isinstance(checkpoint.spec, ReplaySpec) else Deployment
    return made(checkpoint, options)


class ReplayDeployment(Deployment):
    """A policy for deployment; its `q_value` and `quantiles` are of the actions that it takes.

    Of DQN and QR-DQN they are those of all choices.
    """

    @override
    def check_outputs(self, spec: PolicySpec, options: GraphOptions) -> None:
        """Refuse outputs that the policy has not, such as the value of an observation alone."""
        kinds = (network.kind.name for network in family_of(spec).networks)
        given = [name for kind in kinds for name in _GIVEN.get(kind, ())]
        refuse_absent(spec, options, ("action", *dict.fromkeys(given)))

    @override
    def make_policy(self, checkpoint: Checkpoint) -> nn.Module:
        """Build the policy in torch."""
        assert isinstance(checkpoint.spec, ReplaySpec)
        return build_replay_policy(checkpoint.spec, checkpoint.tensors)

    @override
    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs; the arguments are those of `Deployment.forward`."""
        given = dict(zip(self.inputs, tensors, strict=True))
        seen = self.policy.preprocess(self._batch(given))
        latents = self.policy.acting.latents(seen)
        mode = self.policy.acting.mode(latents)
        found = {"action": self._finish(mode), **self.policy.acting.compared(latents)}
        critic = getattr(self.policy, "critic", None)
        if critic is not None and critic.kept in self.outputs:
            found[critic.kept] = critic(seen, mode)
        return tuple(found[name] for name in self.outputs)
