"""A ported policy with the `predict` of SB3's models, for raw observations."""

import importlib
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint, PolicySpec, ReplaySpec
from sb3port.errors import UnfitInput, UsageError, missing, need
from sb3port.families.features import mask_size
from sb3port.inference.actions import ActionWriter
from sb3port.inference.observations import Input, ObservationReader

Backend: TypeAlias = Literal["auto", "torch", "numpy"]
State: TypeAlias = tuple[Array, ...]

_NETWORKS = {"torch": "TorchNetwork", "numpy": "NumpyNetwork"}
_OF_REPLAY = "ReplayNetwork"


def installed_backend(backend: Backend) -> str:
    """Give the backend that "auto" stands for, any other as it is.

    Raises:
        UsageError: There is no such backend, or torch is not installed.
    """
    if backend == "auto":
        return "numpy" if missing("torch") else "torch"
    if backend not in _NETWORKS:
        raise UsageError(f"there is no backend {backend!r}", f"there are: auto, {', '.join(_NETWORKS)}")
    if backend == "torch":
        need("torch", "the torch backend", "take backend='numpy'")
    return backend


class Network(Protocol):
    """What a backend computes; `n` observations at a time."""

    def act(self, features: Input, masks: Array | None) -> Array:
        """Give the most likely actions of a policy without memory, neither clipped nor scaled."""

    def sample(self, features: Input, masks: Array | None) -> Array:
        """Draw random actions of a policy without memory."""

    def remember(
        self,
        features: Input,
        state: State | None,
        starts: Array | None,
        masks: Array | None,
        deterministic: bool,
    ) -> tuple[Array, State]:
        """Give actions of a recurrent policy, and its state after them."""

    def reset_noise(self, n_envs: int) -> None:
        """Draw new exploration matrices for gSDE."""


class PortedPolicy:
    """A policy that is called as SB3's models are.

    Observations are raw: VecNormalize statistics of the training are part of the policy, as if VecNormalize
    wrapped the environment with `training=False`.

    Args:
        checkpoint: A port, or anything else that was read.
        backend: "torch" gives the bits of SB3's own `predict`; "numpy" gives them within noise, is faster for
            few observations, does without torch, and has neither random actions nor features extractors of
            the user's own; "auto" is "torch" where it is installed, else "numpy".

    Attributes:
        spec: What the policy computes.
        backend: What computes it, "torch" or "numpy".

    Raises:
        UsageError: There is no such backend, or it does not have what the policy needs.
    """

    def __init__(self, checkpoint: Checkpoint, backend: Backend = "auto") -> None:
        self.backend = installed_backend(backend)
        self.spec: PolicySpec = checkpoint.spec
        replays = isinstance(self.spec, ReplaySpec) and self.backend == "torch"
        name = "replay_network" if replays else f"{self.backend}_network"
        module = importlib.import_module(f"sb3port.inference.{name}")
        self._recurrent, self._maskable = self.spec.lstm_hidden_size is not None, self.spec.maskable
        network = _OF_REPLAY if replays else _NETWORKS[self.backend]
        self._network: Network = getattr(module, network)(self.spec, checkpoint.tensors)
        self._read = ObservationReader(self.spec, checkpoint.normalizer)
        self._write = ActionWriter(self.spec)

    def predict(
        self,
        observation: Any,
        state: State | None = None,
        episode_start: Array | None = None,
        deterministic: bool = True,
        action_masks: Any = None,
    ) -> tuple[Array, State | None]:
        """Choose actions, as `predict` of SB3's models does.

        Args:
            observation: One raw observation or a batch of n, `(n, *shape)`, for a Dict space a dictionary of
                them. Images may have their channels first or last.
            state: Recurrent policies: hidden and cell state `(layers, n, hidden)`, as this gave them; None is
                zero. Other policies give it back as it is.
            episode_start: Recurrent policies: bool `(n,)`, where an episode starts; None is nowhere.
            deterministic: Take the most likely actions, SB3's default being random ones.
            action_masks: Maskable policies: which choices are allowed, `(n, choices)`; None allows all.

        Returns:
            Actions for the environment, `(*shape)` or `(n, *shape)`, clipped or unscaled; and the new state.

        Raises:
            UnfitInput: A ValueError: an observation is none of the policy's space, or several, in one of its
                keys; masks, states or starts of episodes are not those of so many observations, or the policy
                has none; or the policy gives NaN for them.
            UsageError: The backend has no random actions.
        """
        features, count, is_batch = self._read(observation)
        masks = None if action_masks is None else self._masks(action_masks, count)
        if self._recurrent:
            given = self._states(state, count), self._starts(episode_start, count)
            raw, state = self._network.remember(features, *given, masks, deterministic)
        else:
            raw = (self._network.act if deterministic else self._network.sample)(features, masks)
        actions = self._write(raw)
        return (actions if is_batch else actions.squeeze(axis=0)), state

    def reset_noise(self, n_envs: int = 1) -> None:
        """Draw new exploration matrices for random actions, which gSDE keeps until then.

        Args:
            n_envs: Number of environments that get a matrix of their own.

        Raises:
            ValueError: The policy does not use gSDE.
        """
        if not self.spec.use_sde:
            raise ValueError("reset_noise() is for gSDE, which this policy does not use")
        self._network.reset_noise(n_envs)

    def _masks(self, masks: Any, count: int) -> Array:
        if not self._maskable:
            raise UnfitInput("action_masks are for maskable policies, but this one is not")
        rows, choices = _array(masks, "action_masks", bool), mask_size(self.spec)
        if rows.size != count * choices:
            raise UnfitInput(
                f"action_masks have the shape {rows.shape}, but there are {choices} choices for each of "
                f"{count} observations"
            )
        return rows.reshape(count, choices)

    def _states(self, state: Any, count: int) -> State | None:
        """Check hidden and cell state: SB3 would take one for several observations, in silence."""
        if state is None:
            return None
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise UnfitInput("state is not the pair of a hidden and a cell state that predict gave")
        found = tuple(_array(part, "state", np.float32) for part in state)
        wanted = (self.spec.n_lstm_layers, count, self.spec.lstm_hidden_size)
        if any(part.shape != wanted for part in found):
            raise UnfitInput(
                f"state has the shapes {found[0].shape} and {found[1].shape}, but (layers, n, hidden) is "
                f"{wanted} for {count} observations: begin anew with state=None where their number changes"
            )
        return found

    def _starts(self, starts: Any, count: int) -> Array | None:
        if starts is None:
            return None
        found = _array(starts, "episode_start", np.float32).reshape(-1)
        if found.size != count:
            raise UnfitInput(f"episode_start says of {found.size} observations, but there are {count}")
        return found


def _array(given: Any, name: str, dtype: Any) -> Array:
    try:
        return np.asarray(given, dtype)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UnfitInput(f"{name} is a {type(given).__name__} that holds no numbers") from error
