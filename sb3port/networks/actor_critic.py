"""The policies of PPO, A2C, TRPO, MaskablePPO and RecurrentPPO: SB3's `ActorCriticPolicy`, number for number.

Source: `stable_baselines3/common/policies.py`, `sb3_contrib/common/{maskable,recurrent}/policies.py`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.errors import NoAction
from sb3port.families.features import batch_keys, mask_key
from sb3port.networks.architecture import check_architecture
from sb3port.networks.distributions import ActionDistribution
from sb3port.networks.extractors import make_extractor
from sb3port.networks.gaussian import StateDependentHead
from sb3port.networks.heads import make_head
from sb3port.networks.mlp import MlpExtractor, make_mlp, orthogonal_init
from sb3port.networks.preprocessing import Preprocessor, flat_rows
from sb3port.networks.recurrent import LSTMState, RNNStates, make_core, make_lstms, run_lstm
from sb3port.networks.remembering import EpisodeMemory

Batch = dict[str, Tensor]


class ActorCritic(nn.Module):
    """An actor-critic policy that computes what SB3's and sb3-contrib's policies for PPO compute.

    Batches are dictionaries that have been through the preprocessor. Their keys are those of
    `sb3port.families.features`: a vector is `observation.state`, `(B, n)` or `(B, *shape)`; an image is
    `observation.image`, `(B, C, H, W)`, uint8 or LeRobot's floats; a Dict has one key for each of its keys.
    Maskable policies also read `observation.action_mask`, `(B, number of choices)`, where it is there, or
    `observation.policy.action_mask` where a Dict observation has that key itself. B is the number of rows, A
    the number of elements of a Box action.

    A recurrent policy takes `lstm_states`, a pair of tensors `(L, n_seq, H)`, and `episode_starts`, `(B,)`:
    the B rows are n_seq sequences of equal length, one after the other, and the state is zeroed where an
    episode starts. Without `lstm_states` every row is a sequence that starts from zero. `select_action` and
    `predict_values` go on with what the policy remembers instead: row by row, from one `select_action` to the
    next, until `reset`.

    Attributes:
        spec: What it computes.
        preprocess: From a batch to what the features extractors take.
        log_std: Log standard deviations of a Box policy, `(A,)`, with gSDE `(H, A)` or `(H, 1)`; None for
            other action spaces.
        features_extractor, vf_features_extractor, mlp_extractor, sde_features_extractor, action_net,
            value_net, lstm_actor, lstm_critic, critic: The networks, named as in SB3; None where the policy
            has no such.
    """

    def __init__(self, spec: PolicySpec) -> None:
        """Build the networks with SB3's initialisation, drawing random numbers in SB3's order.

        Args:
            spec: What the policy computes.

        Raises:
            ValueError: The spec is contradictory or not supported.
        """
        nn.Module.__init__(self)  # a policy of LeRobot's, which this is a base of, has begun already
        self._build(spec)

    def _build(self, spec: PolicySpec) -> None:
        check_architecture(spec)
        self.spec = spec
        self.preprocess = Preprocessor(spec.observation_space, spec.normalize_images)
        self._mask_key = mask_key(spec.observation_space)
        self.features_extractor = make_extractor(spec)
        self.vf_features_extractor = None if spec.share_features_extractor else make_extractor(spec)
        n_features = int(self.features_extractor.features_dim)  # type: ignore[arg-type]
        n_inputs = spec.lstm_hidden_size or n_features
        self.mlp_extractor = MlpExtractor(n_inputs, spec.net_arch, spec.activation_fn)
        self._build_head(n_features)
        self.value_net = nn.Linear(self.mlp_extractor.latent_dim_vf, 1)
        if spec.ortho_init:
            self._initialise()
        self.lstm_actor, self.lstm_critic, self.critic = make_lstms(spec, n_features)
        self._core = make_core(self.lstm_actor, self.lstm_critic, self.critic)
        self._memory = EpisodeMemory(list(batch_keys(spec.observation_space).values()))

    def _build_head(self, n_features: int) -> None:
        latent_dim, sizes = self.mlp_extractor.latent_dim_pi, self.spec.sde_net_arch
        self.sde_features_extractor = (
            None if sizes is None else make_mlp(n_features, sizes, self.spec.activation_fn)
        )
        self.head = make_head(self.spec)
        self.action_net = nn.Linear(latent_dim, self.head.n_outputs)
        log_std = self.head.initial_log_std(latent_dim if sizes is None else [n_features, *sizes][-1])
        self.log_std = None if log_std is None else nn.Parameter(log_std)
        if isinstance(self.head, StateDependentHead):
            self.reset_noise()

    def _initialise(self) -> None:
        first: tuple[nn.Module, ...] = (self.features_extractor, self.mlp_extractor)
        last: tuple[nn.Module, ...] = ()
        if self.vf_features_extractor is not None:
            # SB3 initialises two extractors after the networks, but a shared one before them.
            first, last = (self.mlp_extractor,), (self.features_extractor, self.vf_features_extractor)
        for module in first:
            orthogonal_init(module, 2**0.5)
        orthogonal_init(self.action_net, 0.01)
        orthogonal_init(self.value_net, 1.0)
        for module in last:
            orthogonal_init(module, 2**0.5)

    @torch.no_grad()
    def predict(
        self,
        batch: Batch,
        deterministic: bool = True,
        lstm_states: LSTMState | None = None,
        episode_starts: Tensor | None = None,
    ) -> tuple[Tensor, LSTMState | None]:
        """Choose actions, as SB3's `policy.forward` does.

        Args:
            batch: A preprocessed batch.
            deterministic: Take the most likely action instead of a random one. With gSDE the random one
                depends on the exploration matrices that the last `reset_noise` drew (construction draws the
                first, from `log_std_init`, as in SB3).
            lstm_states: Recurrent policies: the actor's state before these rows.
            episode_starts: Recurrent policies: the rows at which an episode starts.

        Returns:
            Actions, and the actor's state after these rows, None when there is no memory. Actions are
            `(B, A)` for a Box, not clipped to its bounds (within [-1, 1] when `squash_output`), and int64
            `(B,)` for a Discrete, `(B, k)` for a MultiDiscrete and `(B, n)`, 0 or 1, for a MultiBinary.

        Raises:
            ValueError: An observation, a mask or a state is missing or has the wrong shape, or they hold NaN,
                or a choice that there is not.
        """
        features = self.features_extractor(self.preprocess(batch))
        return self._act(batch, features, deterministic, lstm_states, episode_starts)

    def predict_values(
        self, batch: Batch, lstm_states: LSTMState | None = None, episode_starts: Tensor | None = None
    ) -> Tensor:
        """Estimated returns of the observations.

        A recurrent policy remembers: the values are those of the rows that `select_action` acts for, and it
        may act on this batch before or after. Nothing is remembered of this call, however often it is made.

        Args:
            batch: A preprocessed batch.
            lstm_states: Recurrent policies: the critic's state before these rows, the actor's if they share
                an LSTM, as `explore` gives them; None for what the policy remembers, zero after a `reset`.
            episode_starts: Recurrent policies: the rows at which an episode starts.

        Returns:
            `(B,)`, in the units of the (normalised) training reward.

        Raises:
            ValueError: A recurrent policy got another number of rows than it remembers, and no states.
        """
        features = (self.vf_features_extractor or self.features_extractor)(self.preprocess(batch))
        if lstm_states is None and self.lstm_actor is not None:
            lstm_states = self._memory.before_seeing(batch, len(features))
        latent, _ = self._core.critic(features, lstm_states, episode_starts)
        return self.value_net(self.mlp_extractor.forward_critic(latent)).flatten()

    def evaluate_actions(
        self,
        batch: Batch,
        actions: Tensor,
        lstm_states: RNNStates | None = None,
        episode_starts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Evaluate actions under the current policy, with gradients.

        Args:
            batch: A preprocessed batch.
            actions: Actions as `predict` gives them, of any number type; a Discrete may also be `(B, 1)`.
            lstm_states: Recurrent policies: the states of actor and critic before these rows.
            episode_starts: Recurrent policies: the rows at which an episode starts.

        Returns:
            Values, log-likelihoods in nats and entropies in nats, each `(B,)`. The entropy is None for
            squashed gSDE, which has no analytical form.
        """
        return self.evaluate_with_distribution(batch, actions, lstm_states, episode_starts)[:3]

    def evaluate_with_distribution(
        self,
        batch: Batch,
        actions: Tensor,
        lstm_states: RNNStates | None = None,
        episode_starts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor | None, ActionDistribution]:
        """Do as `evaluate_actions`, and give the distribution over actions as well.

        Args:
            batch: A preprocessed batch.
            actions: As for `evaluate_actions`.
            lstm_states: Likewise.
            episode_starts: Likewise.
        """
        features, latent_pi, latent_vf, _ = self._latents(batch, lstm_states, episode_starts)
        distribution = self._distribution(batch, features, latent_pi)
        log_prob = distribution.log_prob(self.head.as_actions(actions))
        return self.value_net(latent_vf).flatten(), log_prob, distribution.entropy(), distribution

    def distribution(self, batch: Batch) -> ActionDistribution:
        """Give the distribution over actions, of a policy without a memory.

        Args:
            batch: A preprocessed batch.
        """
        features = self.features_extractor(self.preprocess(batch))
        return self._distribution(batch, features, self.mlp_extractor.forward_actor(features))

    @torch.no_grad()
    def explore(
        self,
        batch: Batch,
        lstm_states: RNNStates | None = None,
        episode_starts: Tensor | None = None,
        deterministic: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, RNNStates | None]:
        """Choose actions and evaluate them: what SB3's `policy.forward` does, at random in training.

        Args:
            batch: A preprocessed batch.
            lstm_states: Recurrent policies: the states of actor and critic before these rows.
            episode_starts: Recurrent policies: the rows at which an episode starts.
            deterministic: Take the most likely actions instead of random ones.

        Returns:
            Actions as `predict` gives them, values and log-likelihoods, each `(B,)`, and the states after
            these rows, None when there is no memory.
        """
        features, latent_pi, latent_vf, states = self._latents(batch, lstm_states, episode_starts)
        distribution = self._distribution(batch, features, latent_pi)
        if deterministic:
            actions = self.head.mode(self.action_net(latent_pi), self._mask(batch))
        else:
            actions = distribution.sample()
        return actions, self.value_net(latent_vf).flatten(), distribution.log_prob(actions), states

    def negative_log_likelihood(self, batch: Batch, actions: Tensor) -> Tensor:
        """Behaviour-cloning loss of actions that an environment took.

        Args:
            batch: A preprocessed batch.
            actions: What the environment took, `(B, A)`, for the discrete spaces of any number type.

        Returns:
            One loss per row in nats, `(B,)`, with gradients.

        Raises:
            ValueError: The policy is recurrent: a batch holds no sequences.
        """
        if self.lstm_actor is not None:
            raise ValueError(
                "A recurrent policy cannot be cloned: lerobot-train's batches hold no sequences."
            )
        return -self.distribution(batch).log_prob(self.head.from_environment(actions))

    def cloning_loss(self, batch: Batch, actions: Tensor) -> Tensor:
        """Behaviour-cloning loss that leaves exploration as it is, of a policy without a memory.

        Args:
            batch: A preprocessed batch.
            actions: What an environment took, `(B, A)`, for the discrete spaces of any number type.

        Returns:
            One loss per row, `(B,)`, with gradients: of a Box half the squared distance to the deterministic
            action, which is that of Gaussians of deviation 1; else the negative log-likelihood in nats.
        """
        if self.log_std is None:
            return self.negative_log_likelihood(batch, actions)
        features = self.features_extractor(self.preprocess(batch))
        modes = self.head.mode(self.action_net(self.mlp_extractor.forward_actor(features)))
        return 0.5 * (modes - self.head.from_environment(actions)).square().sum(dim=1)

    @torch.no_grad()
    def select_action(self, batch: Batch, episode_starts: Tensor | None = None) -> Tensor:
        """Deterministic actions, neither clipped nor unscaled.

        A recurrent policy remembers its rows from call to call, until `reset`.

        Args:
            batch: A preprocessed batch.
            episode_starts: Recurrent policies: the rows at which an episode starts: they alone forget.

        Returns:
            `(B, A)` float32 for a Box, `(B, 1)` int64 for a Discrete, `(B, k)` int64 for the other two.

        Raises:
            ValueError: A recurrent policy got another number of rows than since the last `reset`; or as for
                `predict`.
        """
        observations = self.preprocess(batch)
        features = self.features_extractor(observations)
        before = self._memory.before_acting(len(features), episode_starts)
        actions, state = self._act(batch, features, True, before.pi if before else None, episode_starts)
        if state is not None:
            after = RNNStates(state, self._critic_state(observations, features, before, state))
            self._memory.acted(batch, before, after)
        return actions.unsqueeze(1) if actions.ndim == 1 else actions

    def reset(self) -> None:
        """Forget the episodes so far; only recurrent policies remember any."""
        self._memory.forget()

    def reset_noise(self, n_envs: int = 1) -> None:
        """Draw new exploration matrices from the current `log_std`.

        Args:
            n_envs: Number of environments that get a matrix of their own.

        Raises:
            ValueError: The policy does not use gSDE.
        """
        if not isinstance(self.head, StateDependentHead) or self.log_std is None:
            raise ValueError("reset_noise() is supported with gSDE only, but use_sde is False.")
        self.head.sample_weights(self.log_std, n_envs)

    def _act(
        self,
        batch: Batch,
        features: Tensor,
        deterministic: bool,
        state: LSTMState | None,
        starts: Tensor | None,
    ) -> tuple[Tensor, LSTMState | None]:
        latent, state = self._core.actor(features, state, starts)
        latent = self.mlp_extractor.forward_actor(latent)
        outputs = self.action_net(latent)
        if outputs.isnan().any():
            raise NoAction
        if deterministic:
            return self.head.mode(outputs, self._mask(batch)), state
        return self._distribution(batch, features, latent).sample(), state

    def _critic_state(
        self, observations: Any, features: Tensor, before: RNNStates | None, actor: LSTMState
    ) -> LSTMState:
        """Give the critic's state after a step; one without an LSTM of its own has the actor's."""
        if self.lstm_critic is None:
            return actor
        if self.vf_features_extractor is not None:
            features = self.vf_features_extractor(observations)
        return run_lstm(self.lstm_critic, features, before.vf if before else None, None)[1]

    def _latents(
        self, batch: Batch, states: RNNStates | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, RNNStates | None]:
        """Features of the actor, latents of policy and value, and the states after these rows."""
        observations = self.preprocess(batch)
        pi = vf = self.features_extractor(observations)
        if self.vf_features_extractor is not None:
            vf = self.vf_features_extractor(observations)
        *latents, states = self._core.both(pi, vf, states, starts)
        return pi, *self.mlp_extractor(*latents), states

    def _distribution(self, batch: Batch, features: Tensor, latent_pi: Tensor) -> ActionDistribution:
        extract = self.sde_features_extractor
        latent_sde = latent_pi if extract is None else extract(features)
        return self.head.distribution(self.action_net(latent_pi), self.log_std, latent_sde, self._mask(batch))

    def _mask(self, batch: Batch) -> Tensor | None:
        """The allowed choices, bool `(B, n_outputs)`, or None when all are allowed."""
        if not self.spec.maskable or self._mask_key not in batch:
            return None
        return flat_rows(batch[self._mask_key], self.head.n_outputs, self._mask_key) != 0
