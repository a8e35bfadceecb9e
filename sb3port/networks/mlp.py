"""The networks of Stable-Baselines3's ActorCriticPolicy, with its parameter names and its initialisation."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import NetArch
from sb3port.families.activations import parse_activation


class MlpExtractor(nn.Module):
    """The multi-layer perceptrons of the policy and of the value, on top of what they may share.

    Attributes:
        shared_net: `(B, n_features) -> (B, n)`, the layers that both share, or None; SB3 has none since 1.8.
        policy_net: `(B, n) -> (B, latent_dim_pi)`; the identity when it has no layers.
        value_net: `(B, n) -> (B, latent_dim_vf)`; the identity when it has no layers.
    """

    def __init__(self, n_features: int, net_arch: NetArch, activation_fn: str) -> None:
        """Build the networks.

        Args:
            n_features: Width of the input.
            net_arch: Hidden layer sizes; none means no layers.
            activation_fn: An activation of `torch.nn` (see `families.activations`), after every layer.

        Raises:
            ValueError: `activation_fn` is none that is supported.
        """
        super().__init__()
        shared, pi, vf = net_arch.shared, net_arch.pi, net_arch.vf
        n_shared = shared[-1] if shared else n_features
        self.latent_dim_pi = pi[-1] if pi else n_shared
        self.latent_dim_vf = vf[-1] if vf else n_shared
        self.shared_net = make_mlp(n_features, shared, activation_fn) if shared else None
        self.policy_net = make_mlp(n_shared, pi, activation_fn)
        self.value_net = make_mlp(n_shared, vf, activation_fn)

    def forward(self, pi_features: Tensor, vf_features: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of the policy and of the value, each `(B, latent_dim)`."""
        pi = self._shared(pi_features)
        vf = pi if vf_features is pi_features else self._shared(vf_features)
        return self.policy_net(pi), self.value_net(vf)

    def forward_actor(self, features: Tensor) -> Tensor:
        """Latent of the policy only."""
        return self.policy_net(self._shared(features))

    def forward_critic(self, features: Tensor) -> Tensor:
        """Latent of the value only."""
        return self.value_net(self._shared(features))

    def _shared(self, features: Tensor) -> Tensor:
        return features if self.shared_net is None else self.shared_net(features)


def activation_class(text: str) -> Callable[[], nn.Module]:
    """SB3's `activation_fn`: a class of `torch.nn`, or a partial of one where it has arguments.

    Raises:
        ValueError: It is not supported.
    """
    try:
        found = parse_activation(text)
    except ValueError as error:
        raise ValueError(f"activation_fn is {error}.") from error
    cls: Callable[..., nn.Module] = getattr(nn, found.name)
    return partial(cls, **found.arguments) if found.arguments else cls


def make_activation(text: str) -> nn.Module:
    """An activation module, by its text in a spec.

    Raises:
        ValueError: It is not supported.
    """
    return activation_class(text)()


def orthogonal_init(module: nn.Module, gain: float) -> None:
    """Orthogonal weights and zero biases for every Linear and Conv2d in `module`, in SB3's order.

    Source: `stable_baselines3.common.policies.BasePolicy.init_weights`.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.orthogonal_(layer.weight, gain=gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def make_mlp(n_inputs: int, sizes: Sequence[int], activation_fn: str) -> nn.Sequential:
    """Linear layers of these sizes, an activation after each; the identity when there are none."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip([n_inputs, *sizes], sizes, strict=False):
        layers += [nn.Linear(n_in, n_out), make_activation(activation_fn)]
    return nn.Sequential(*layers)
