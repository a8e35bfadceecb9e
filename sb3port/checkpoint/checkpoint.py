"""The narrow waist: one immutable value between every reader and every writer.

A `Checkpoint` knows no framework: numpy arrays and plain values only. Tensor names are those of today's SB3
(`mlp_extractor.policy_net.0.weight`, `action_net.weight`, `log_std`, ...), aliases removed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.schedules import Schedule
from sb3port.checkpoint.spaces import Space

Array: TypeAlias = NDArray[Any]
Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True)
class NetArch:
    """Hidden layer sizes of the policy net and of the value net, input side first.

    Args:
        shared: Layers before both, which SB3 had until 1.7.
        qf: Those of each critic of a policy that has Q-values in place of a value net; None elsewhere.
    """

    pi: tuple[int, ...]
    vf: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()
    qf: tuple[int, ...] | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, list[int]]:
        """Give SB3's `net_arch`; "shared" only where there are such layers."""
        if self.qf is not None:
            return {"pi": list(self.pi), "qf": list(self.qf)}
        shared = {"shared": list(self.shared)} if self.shared else {}
        return {**shared, "pi": list(self.pi), "vf": list(self.vf)}


@dataclass(frozen=True)
class PolicySpec:
    """What a policy computes, apart from its weights.

    The names are the constructor arguments of `stable_baselines3.common.policies.ActorCriticPolicy` and of
    `sb3_contrib.common.recurrent.policies.RecurrentActorCriticPolicy`.

    Args:
        algorithm: Who trained it: a key of `families.algorithms`, such as "ppo".
        activation_fn: A `torch.nn` activation as a text, such as "Tanh" or "LeakyReLU(negative_slope=0.2)".
        features_extractor: Name of a features extractor, or `module:Class` of one whose code is the user's.
        features_extractor_kwargs: Its arguments: widths (`features_dim` or `cnn_output_dim`) as the tensors
            have them; those of a class of the user's as the file has them.
        sde_net_arch: Layer sizes of gSDE's own features extractor, which SB3 had until 1.2; None without one.
        maskable: Whether it is sb3-contrib's `MaskableActorCriticPolicy`.
        lstm_hidden_size: Width of the LSTM of a recurrent policy, None for the others.
        assumed: Fields that neither the tensors nor the file's keyword arguments tell, so that they hold
            SB3's default.
    """

    algorithm: str
    observation_space: Space
    action_space: Space
    net_arch: NetArch
    activation_fn: str = "Tanh"
    features_extractor: str = "FlattenExtractor"
    features_extractor_kwargs: Mapping[str, Any] = field(default_factory=dict)
    share_features_extractor: bool = True
    ortho_init: bool = True
    normalize_images: bool = True
    use_sde: bool = False
    log_std_init: float = 0.0
    full_std: bool = True
    use_expln: bool = False
    sde_net_arch: tuple[int, ...] | None = None
    squash_output: bool = False
    maskable: bool = False
    lstm_hidden_size: int | None = None
    n_lstm_layers: int = 1
    shared_lstm: bool = False
    enable_critic_lstm: bool = True
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplaySpec(PolicySpec):
    """What a policy of an algorithm that learns from replayed steps computes, or one of ARS.

    The names are those of the policies' constructors in `stable_baselines3/{sac,td3,dqn}/policies.py` and in
    `sb3_contrib/{tqc,qrdqn,crossq,ars}/policies.py`.

    Args:
        clip_mean: Bound of gSDE's means, 0 for none.
        n_critics: How many critics there are; 0 where none is.
        n_quantiles: Quantiles that a critic gives for an action, 0 where it gives its value alone.
        batch_norm: Whether CrossQ's `BatchRenorm` is before every layer.
        batch_norm_momentum, batch_norm_eps, renorm_warmup_steps: Its arguments.
        with_bias: Whether layers have biases; those of ARS need not.
        exploration_rate: How often an action is a random one where actions are not deterministic: the rate
            of DQN and QR-DQN when they were saved.
    """

    clip_mean: float = 2.0
    n_critics: int = 0
    n_quantiles: int = 0
    batch_norm: bool = False
    batch_norm_momentum: float = 0.01
    batch_norm_eps: float = 0.001
    renorm_warmup_steps: int = 100_000
    with_bias: bool = True
    exploration_rate: float = 0.0


@dataclass(frozen=True, eq=False)
class RunningMeanStd:
    """Statistics of `stable_baselines3.common.running_mean_std.RunningMeanStd`, in float64.

    Args:
        mean: Per element, in the shape of the observation (or `()` for rewards).
        var: Per element, the biased variance.
        count: How many samples they stand for.
    """

    mean: Array
    var: Array
    count: float


@dataclass(frozen=True)
class Normalizer:
    """What `VecNormalize` saved.

    An observation becomes `clip((x - mean) / sqrt(var + epsilon), -clip_obs, clip_obs)`.

    Args:
        obs_rms: For Dict observations one per normalised key (`norm_obs_keys`); None where `norm_obs` is
            false.
        ret_rms: Statistics of the discounted return, by which rewards are scaled in training.
        channels_last: Keys of the images that it passed on with their channels last, "" where observations
            are no Dict; policies have them first.
    """

    obs_rms: RunningMeanStd | Mapping[str, RunningMeanStd] | None
    ret_rms: RunningMeanStd | None
    clip_obs: float = 10.0
    clip_reward: float = 10.0
    gamma: float = 0.99
    epsilon: float = 1e-8
    norm_obs: bool = True
    norm_reward: bool = True
    channels_last: tuple[str, ...] = ()

    @property
    def statistics(self) -> dict[str, RunningMeanStd]:
        """The statistics by observation key, "" where observations are no Dict; empty where none are."""
        if isinstance(self.obs_rms, RunningMeanStd):
            return {"": self.obs_rms}
        return dict(self.obs_rms or {})


@dataclass(frozen=True)
class Wrapper:
    """One wrapper of an environment, as rl_zoo3 names it.

    Args:
        name: Dotted name of its class, such as "sb3_contrib.common.wrappers.TimeFeatureWrapper". It is text:
            nothing of this name is ever imported.
        kwargs: Its arguments as plain values.
    """

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EnvironmentSpec:
    """What a policy was trained in, as far as the files beside the zip tell; the zip itself does not.

    Args:
        env_id: Gymnasium (or gym) id, None where it is not known.
        env_kwargs: Arguments of the environment.
        wrappers: What wraps it, innermost first.
        frame_stack: How many observations SB3's VecFrameStack puts together, outside of all wrappers.
        sources: Where that is from: names of files, and "name" for an id told from the model's name.
    """

    env_id: str | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[Wrapper, ...] = ()
    frame_stack: int | None = None
    sources: tuple[str, ...] = ()

    @property
    def registered_id(self) -> str | None:
        """The id, unless it names a module (`module:Env-v0`), which Gymnasium would import."""
        return None if self.env_id is None or ":" in self.env_id else self.env_id


@dataclass(frozen=True)
class TrainingSettings:
    """How it was trained, for going on from here.

    Args:
        schedules: `learning_rate`, `clip_range` and `clip_range_vf`, as far as the algorithm has them.
        hyperparameters: The other settings under SB3's own names (`n_steps`, `gamma`, ...), and
            `num_timesteps`, the environment steps done so far.
        optimizer_class: Name of the `torch.optim` class, such as "Adam".
        replay: The settings of an algorithm that learns from replayed steps that are no numbers, as plain
            values: `train_freq`, `action_noise`, `replay_buffer_class`, `replay_buffer_kwargs`, and
            `ent_coef` and `target_entropy` where they are texts.
    """

    schedules: Mapping[str, Schedule]
    hyperparameters: Mapping[str, Scalar]
    optimizer_class: str
    optimizer_kwargs: Mapping[str, Any] = field(default_factory=dict)
    replay: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfiguredTraining:
    """What rl_zoo3's `config.yml` says of the training. Where it is silent, SB3's defaults held.

    Args:
        schedules: As in `TrainingSettings`.
        hyperparameters: The other settings under SB3's own names, with `n_envs` and `n_timesteps`.
        normalize_kwargs: Arguments of VecNormalize, None where there was none.
    """

    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    hyperparameters: Mapping[str, Scalar] = field(default_factory=dict)
    normalize_kwargs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class OptimizerState:
    """The state of a `torch.optim` optimiser with one parameter group.

    Parameters have torch's numbers, those of SB3's `named_parameters()` order. Which tensors
    of a features extractor of the user's own are parameters, only its code tells: buffers have no number.

    Args:
        group: The group's settings (`lr`, `betas`, `eps`, ...) without `params`.
        state: Per parameter, its tensors (`exp_avg`, `step`, ...); a step count was a plain number before
            torch 1.12. A parameter that was never learned has none.
        count: How many parameters there are.
    """

    group: Mapping[str, Any]
    state: Mapping[int, Mapping[str, Array | float]]
    count: int


@dataclass(frozen=True)
class SourceFile:
    """One input file: its name within the source, its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """Where a checkpoint comes from.

    Args:
        kind: "hub", "file" or "folder"; "training" where sb3port trained it.
        location: Repository id on the Hub, or absolute path; of a training the environment.
        revision: Commit hash on the Hub, else None.
        files: Every file that was read, by role ("checkpoint", "statistics").
        sb3_version: Version that wrote the zip, None before SB3 0.9.
        system_info: The zip's `system_info.txt` (absent before SB3 1.3).
        imports: What the pickles in the files would have imported, sorted.
        ignored: Tensors of the source that the port leaves out, each with its reason.
        pairing: Why these VecNormalize statistics or none; empty where there was nothing to choose.
        no_stats: Whether the user chose to leave VecNormalize statistics out.
        assume_standard_forward: Whether the user chose to take a policy class of the author's own for SB3's.
        extractor: `module:Class`, which the user named as the code of the features extractor, else None.
        base: `org/name@revision` on the Hub, of which a policy of a training is the fine-tuned one.
    """

    kind: str
    location: str
    revision: str | None
    files: Mapping[str, SourceFile]
    sb3_version: str | None = None
    system_info: Mapping[str, str] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)
    pairing: str = ""
    no_stats: bool = False
    assume_standard_forward: bool = False
    extractor: str | None = None
    base: str = ""

    @property
    def base_model(self) -> tuple[str, str] | None:
        """Repository on the Hub and commit hash, of the source or of what was fine-tuned; None elsewhere."""
        if self.kind == "hub":
            return self.location, self.revision or ""
        location, _, revision = self.base.partition("@")
        return (location, revision) if location else None

    @property
    def name(self) -> str:
        """A short name for it: the last part of the repository id or path, without `.zip`."""
        return short_name(self.location)


@dataclass(frozen=True)
class Checkpoint:
    """A trained policy and everything known about it.

    Args:
        tensors: Read-only arrays by canonical name, in the order of SB3's `named_parameters()`, with the
            buffers that some features extractors have among their parameters.
        training: As the zip has it; `hyperparameters.true_settings` tells what to believe.
        warnings: Sentences a user should read before relying on the checkpoint.
        environment: What it was trained in.
        configured: The schedules and hyperparameters of rl_zoo3's `config.yml`, None where there is none.
        optimizers: The optimisers of an algorithm with several, by SB3's names: "actor.optimizer",
            "critic.optimizer", "ent_coef_optimizer".
        variables: What SB3 keeps in `pytorch_variables.pth`: `log_ent_coef`, or `ent_coef_tensor`.
    """

    spec: PolicySpec
    tensors: Mapping[str, Array]
    normalizer: Normalizer | None
    training: TrainingSettings
    optimizer: OptimizerState | None
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    configured: ConfiguredTraining | None = None
    optimizers: Mapping[str, OptimizerState] = field(default_factory=dict)
    variables: Mapping[str, Array] = field(default_factory=dict)


def short_name(location: str) -> str:
    """Give the last part of a repository id or path, without `.zip`."""
    return location.rstrip("/").rpartition("/")[2].removesuffix(".zip")


def frozen(array: Array) -> Array:
    """Give a contiguous, read-only copy of an array."""
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy
