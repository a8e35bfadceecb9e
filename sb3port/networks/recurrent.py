"""What is between features and MLPs: nothing, or the LSTMs of sb3-contrib's RecurrentPPO.

A core is called with the features of B rows. For a recurrent one these are the rows of `n_seq` sequences of
equal length, one sequence after the other; a state is a pair of tensors `(L, n_seq, H)`, hidden and cell,
with L layers of H units. Where an episode starts, the state is zero.

Source: `sb3_contrib.common.recurrent.policies`.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from sb3port.checkpoint.checkpoint import PolicySpec

LSTMState = tuple[Tensor, Tensor]


class RNNStates(NamedTuple):
    """States of the actor (`pi`) and of the critic (`vf`)."""

    pi: LSTMState
    vf: LSTMState


class Core(ABC):
    """From features to the inputs of the MLPs."""

    @abstractmethod
    def actor(
        self, features: Tensor, state: LSTMState | None, starts: Tensor | None
    ) -> tuple[Tensor, LSTMState | None]:
        """Input of the policy's MLP, and the state after it.

        Args:
            features: The actor's features, `(B, n_features)`.
            state: State before the first step; None is zero, with one sequence per row.
            starts: `(B,)`, 1 or True where an episode starts; None is nowhere.

        Raises:
            ValueError: The state does not fit.
        """

    @abstractmethod
    def critic(
        self, features: Tensor, state: LSTMState | None, starts: Tensor | None
    ) -> tuple[Tensor, LSTMState | None]:
        """Input of the value's MLP, from the critic's features and its state, and the state after it."""

    @abstractmethod
    def both(
        self, pi: Tensor, vf: Tensor, states: RNNStates | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor, RNNStates | None]:
        """Inputs of both MLPs and the states after them, from the features and the states of both."""


class FeedForwardCore(Core):
    """No memory: features go to the MLPs."""

    @override
    def actor(
        self, features: Tensor, state: LSTMState | None, starts: Tensor | None
    ) -> tuple[Tensor, LSTMState | None]:
        """Give the features as they are, and no state.

        Raises:
            ValueError: There is a state, or `starts`.
        """
        self._refuse(state, starts)
        return features, None

    @override
    def critic(
        self, features: Tensor, state: LSTMState | None, starts: Tensor | None
    ) -> tuple[Tensor, LSTMState | None]:
        """Do the same as `actor`."""
        return self.actor(features, state, starts)

    @override
    def both(
        self, pi: Tensor, vf: Tensor, states: RNNStates | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor, RNNStates | None]:
        """Give the features of both as they are, and no states.

        Raises:
            ValueError: There are states, or `starts`.
        """
        self._refuse(states, starts)
        return pi, vf, None

    def _refuse(self, *memories: object) -> None:
        if any(memory is not None for memory in memories):
            raise ValueError(
                "lstm_states and episode_starts are for recurrent policies, but this one is not."
            )


class RecurrentCore(Core):
    """An LSTM for the actor, and one of three things for the critic.

    Args:
        lstm_actor: The actor's LSTM.
        lstm_critic: The critic's own LSTM, or None.
        critic: A linear layer that takes its place, or None; with neither the critic sees what the actor's
            LSTM gives, without sending gradients back.
    """

    def __init__(self, lstm_actor: nn.LSTM, lstm_critic: nn.LSTM | None, critic: nn.Linear | None) -> None:
        self._lstm_actor, self._lstm_critic, self._linear = lstm_actor, lstm_critic, critic

    @override
    def actor(
        self, features: Tensor, state: LSTMState | None, starts: Tensor | None
    ) -> tuple[Tensor, LSTMState | None]:
        """Outputs of the actor's LSTM, `(B, H)`, and the state after the last step."""
        return run_lstm(self._lstm_actor, features, state, starts)

    @override
    def critic(
        self, features: Tensor, state: LSTMState | None, starts: Tensor | None
    ) -> tuple[Tensor, LSTMState | None]:
        """Input of the value's MLP, `(B, H)`: from the linear layer, the critic's LSTM, or the actor's."""
        if self._linear is not None:
            return self._linear(features), state
        if self._lstm_critic is not None:
            return run_lstm(self._lstm_critic, features, state, starts)
        latent, state = run_lstm(self._lstm_actor, features, state, starts)
        return latent.detach(), state

    @override
    def both(
        self, pi: Tensor, vf: Tensor, states: RNNStates | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor, RNNStates | None]:
        """Inputs of both MLPs, `(B, H)` each, and the states after the last step."""
        pi_state, vf_state = states or (None, None)
        latent, pi_state = run_lstm(self._lstm_actor, pi, pi_state, starts)
        if self._lstm_critic is not None:
            critic, vf_state = run_lstm(self._lstm_critic, vf, vf_state, starts)
            return latent, critic, RNNStates(pi_state, vf_state)
        # A critic without an LSTM of its own has the actor's state, as in sb3-contrib.
        critic = latent.detach() if self._linear is None else self._linear(vf)
        return latent, critic, RNNStates(pi_state, pi_state)


def make_core(lstm_actor: nn.LSTM | None, lstm_critic: nn.LSTM | None, critic: nn.Linear | None) -> Core:
    """The core of a policy with these modules, as `make_lstms` gives them."""
    return FeedForwardCore() if lstm_actor is None else RecurrentCore(lstm_actor, lstm_critic, critic)


def make_lstms(spec: PolicySpec, n_features: int) -> tuple[nn.LSTM | None, nn.LSTM | None, nn.Linear | None]:
    """The modules of a recurrent policy, in the order in which SB3 makes them; all None for another policy.

    Returns:
        The actor's LSTM, the critic's, and the linear layer that may take its place.
    """
    hidden = spec.lstm_hidden_size
    if hidden is None:
        return None, None, None
    lstm_actor = nn.LSTM(n_features, hidden, num_layers=spec.n_lstm_layers)
    if spec.enable_critic_lstm:
        return lstm_actor, nn.LSTM(n_features, hidden, num_layers=spec.n_lstm_layers), None
    return lstm_actor, None, None if spec.shared_lstm else nn.Linear(n_features, hidden)


def run_lstm(
    lstm: nn.LSTM, features: Tensor, state: LSTMState | None, starts: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run an LSTM over the rows of `n_seq` sequences; see the module's docstring.

    Returns:
        Outputs `(B, H)`, in the order of the rows, and the state after the last step.

    Raises:
        ValueError: The state or `starts` does not fit the rows.
    """
    state = state or zero_state(lstm, features)
    n_seq = state[0].shape[1]
    starts = features.new_zeros(len(features)) if starts is None else starts.float()
    _check(lstm, features, state, starts)
    steps = features.reshape(n_seq, -1, lstm.input_size).swapaxes(0, 1)
    step_starts = starts.reshape(n_seq, -1).swapaxes(0, 1)
    # One call is faster than one per step, and SB3's choice: the last bits may differ.
    if torch.all(step_starts == 0.0):
        outputs, state = lstm(steps, state)
    else:
        outputs, state = _run_steps(lstm, steps, state, step_starts)
    return outputs.transpose(0, 1).flatten(0, 1), state


def zero_state(lstm: nn.LSTM, features: Tensor) -> LSTMState:
    """The state at the start of an episode, with one sequence per row of `features`."""
    zeros = features.new_zeros(lstm.num_layers, len(features), lstm.hidden_size)
    return zeros, zeros


def zeroed(state: LSTMState, starts: Tensor) -> LSTMState:
    """Give a state that is zero in the sequences that start, `(n_seq,)`."""
    keep = (1.0 - starts.float()).view(1, -1, 1)
    return keep * state[0], keep * state[1]


def _run_steps(lstm: nn.LSTM, steps: Tensor, state: LSTMState, starts: Tensor) -> tuple[Tensor, LSTMState]:
    outputs = []
    for step, start in zip(steps, starts, strict=True):
        output, state = lstm(step.unsqueeze(0), zeroed(state, start))
        outputs.append(output)
    return torch.cat(outputs), state


def _check(lstm: nn.LSTM, features: Tensor, state: LSTMState, starts: Tensor) -> None:
    n_seq = state[0].shape[1]
    needed = (lstm.num_layers, n_seq, lstm.hidden_size)
    if any(tuple(part.shape) != needed for part in state) or len(features) % n_seq:
        raise ValueError(
            f"lstm_states have the shapes {[tuple(part.shape) for part in state]}, but ({lstm.num_layers}, "
            f"n_seq, {lstm.hidden_size}) is needed, with n_seq a divisor of the {len(features)} rows."
        )
    if starts.numel() != len(features):
        raise ValueError(f"episode_starts has {starts.numel()} elements for {len(features)} rows.")
