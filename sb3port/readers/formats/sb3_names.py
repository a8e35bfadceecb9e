"""What SB3 and sb3-contrib 2.9 define, by module: what older ones have pickled and is not here is gone.

A test holds it against the packages themselves, and prints what has changed.
"""

from collections.abc import Mapping

_TEXT = """
stable_baselines3: HER
stable_baselines3.a2c.a2c: A2C
stable_baselines3.a2c.policies: ActorCriticCnnPolicy ActorCriticPolicy CnnPolicy MlpPolicy
    MultiInputActorCriticPolicy MultiInputPolicy
stable_baselines3.common.base_class: BaseAlgorithm maybe_make_env
stable_baselines3.common.buffers: BaseBuffer DictReplayBuffer DictRolloutBuffer NStepReplayBuffer
    ReplayBuffer RolloutBuffer
stable_baselines3.common.callbacks: BaseCallback CallbackList CheckpointCallback ConvertCallback
    EvalCallback EventCallback EveryNTimesteps LogEveryNTimesteps ProgressBarCallback
    StopTrainingOnMaxEpisodes StopTrainingOnNoModelImprovement StopTrainingOnRewardThreshold
stable_baselines3.common.distributions: BernoulliDistribution CategoricalDistribution
    DiagGaussianDistribution Distribution MultiCategoricalDistribution SquashedDiagGaussianDistribution
    StateDependentNoiseDistribution TanhBijector kl_divergence make_proba_distribution sum_independent_dims
stable_baselines3.common.env_util: is_wrapped make_atari_env make_vec_env unwrap_wrapper
stable_baselines3.common.envs.bit_flipping_env: BitFlippingEnv
stable_baselines3.common.envs.identity_env: FakeImageEnv IdentityEnv IdentityEnvBox IdentityEnvMultiBinary
    IdentityEnvMultiDiscrete
stable_baselines3.common.envs.multi_input_envs: SimpleMultiObsEnv
stable_baselines3.common.evaluation: evaluate_policy
stable_baselines3.common.logger: CSVOutputFormat Figure FormatUnsupportedError HParam HumanOutputFormat
    Image JSONOutputFormat KVWriter Logger SeqWriter TensorBoardOutputFormat Video configure
    filter_excluded_keys make_output_format
stable_baselines3.common.monitor: LoadMonitorResultsError Monitor ResultsWriter get_monitor_files
    load_results
stable_baselines3.common.noise: ActionNoise NormalActionNoise OrnsteinUhlenbeckActionNoise
    VectorizedActionNoise
stable_baselines3.common.off_policy_algorithm: OffPolicyAlgorithm
stable_baselines3.common.on_policy_algorithm: OnPolicyAlgorithm
stable_baselines3.common.policies: ActorCriticCnnPolicy ActorCriticPolicy BaseModel BasePolicy
    ContinuousCritic MultiInputActorCriticPolicy
stable_baselines3.common.preprocessing: check_for_nested_spaces get_action_dim get_flattened_obs_dim
    get_obs_shape is_image_space is_image_space_channels_first maybe_transpose preprocess_obs
stable_baselines3.common.running_mean_std: RunningMeanStd
stable_baselines3.common.save_util: data_to_json is_json_serializable json_to_data load_from_pkl
    load_from_zip_file open_path open_path_pathlib open_path_str recursive_getattr recursive_setattr
    save_to_pkl save_to_zip_file
stable_baselines3.common.sb2_compat.rmsprop_tf_like: RMSpropTFLike
stable_baselines3.common.torch_layers: BaseFeaturesExtractor CombinedExtractor FlattenExtractor MlpExtractor
    NatureCNN create_mlp get_actor_critic_arch
stable_baselines3.common.type_aliases: DictReplayBufferSamples DictRolloutBufferSamples PolicyPredictor
    ReplayBufferSamples RolloutBufferSamples RolloutReturn TrainFreq TrainFrequencyUnit
stable_baselines3.common.utils: ConstantSchedule FloatSchedule LinearSchedule check_for_correct_spaces
    check_shape_equal configure_logger constant_fn explained_variance get_device get_latest_run_id
    get_linear_fn get_parameters_by_name get_schedule_fn get_system_info is_vectorized_box_observation
    is_vectorized_dict_observation is_vectorized_discrete_observation is_vectorized_multibinary_observation
    is_vectorized_multidiscrete_observation is_vectorized_observation obs_as_tensor polyak_update safe_mean
    set_random_seed should_collect_more_steps update_learning_rate zip_strict
stable_baselines3.common.vec_env: is_vecenv_wrapped sync_envs_normalization unwrap_vec_normalize
    unwrap_vec_wrapper
stable_baselines3.common.vec_env.base_vec_env: CloudpickleWrapper VecEnv VecEnvWrapper tile_images
stable_baselines3.common.vec_env.dummy_vec_env: DummyVecEnv
stable_baselines3.common.vec_env.stacked_observations: StackedObservations
stable_baselines3.common.vec_env.subproc_vec_env: SubprocVecEnv
stable_baselines3.common.vec_env.util: dict_to_obs obs_space_info
stable_baselines3.common.vec_env.vec_check_nan: VecCheckNan
stable_baselines3.common.vec_env.vec_extract_dict_obs: VecExtractDictObs
stable_baselines3.common.vec_env.vec_frame_stack: VecFrameStack
stable_baselines3.common.vec_env.vec_monitor: VecMonitor
stable_baselines3.common.vec_env.vec_normalize: VecNormalize
stable_baselines3.common.vec_env.vec_transpose: VecTransposeImage
stable_baselines3.common.vec_env.vec_video_recorder: VecVideoRecorder
stable_baselines3.ddpg.ddpg: DDPG
stable_baselines3.ddpg.policies: CnnPolicy MlpPolicy MultiInputPolicy
stable_baselines3.dqn.dqn: DQN
stable_baselines3.dqn.policies: BasePolicy CnnPolicy DQNPolicy MlpPolicy MultiInputPolicy QNetwork
stable_baselines3.her.goal_selection_strategy: GoalSelectionStrategy
stable_baselines3.her.her_replay_buffer: HerReplayBuffer
stable_baselines3.ppo.policies: ActorCriticCnnPolicy ActorCriticPolicy CnnPolicy MlpPolicy
    MultiInputActorCriticPolicy MultiInputPolicy
stable_baselines3.ppo.ppo: PPO
stable_baselines3.sac.policies: Actor BasePolicy CnnPolicy MlpPolicy MultiInputPolicy SACPolicy
stable_baselines3.sac.sac: SAC
stable_baselines3.td3.policies: Actor BasePolicy CnnPolicy MlpPolicy MultiInputPolicy TD3Policy
stable_baselines3.td3.td3: TD3
sb3_contrib.ars.ars: ARS
sb3_contrib.ars.policies: ARSLinearPolicy ARSPolicy BasePolicy LinearPolicy MlpPolicy
sb3_contrib.common.envs.invalid_actions_env: InvalidActionEnvDiscrete InvalidActionEnvMultiBinary
    InvalidActionEnvMultiDiscrete
sb3_contrib.common.maskable.buffers: MaskableDictRolloutBuffer MaskableDictRolloutBufferSamples
    MaskableRolloutBuffer MaskableRolloutBufferSamples
sb3_contrib.common.maskable.callbacks: MaskableEvalCallback
sb3_contrib.common.maskable.distributions: MaskableBernoulliDistribution MaskableCategorical
    MaskableCategoricalDistribution MaskableDistribution MaskableMultiCategoricalDistribution
    make_masked_proba_distribution
sb3_contrib.common.maskable.evaluation: evaluate_policy
sb3_contrib.common.maskable.policies: BasePolicy MaskableActorCriticCnnPolicy MaskableActorCriticPolicy
    MaskableMultiInputActorCriticPolicy
sb3_contrib.common.maskable.utils: get_action_masks is_masking_supported
sb3_contrib.common.recurrent.buffers: RecurrentDictRolloutBuffer RecurrentRolloutBuffer create_sequencers
    pad pad_and_flatten
sb3_contrib.common.recurrent.policies: ActorCriticPolicy RecurrentActorCriticCnnPolicy
    RecurrentActorCriticPolicy RecurrentMultiInputActorCriticPolicy
sb3_contrib.common.recurrent.type_aliases: RNNStates RecurrentDictRolloutBufferSamples
    RecurrentRolloutBufferSamples
sb3_contrib.common.torch_layers: BatchRenorm BatchRenorm1d
sb3_contrib.common.utils: conjugate_gradient_solver flat_grad quantile_huber_loss
sb3_contrib.common.vec_env.async_eval: AsyncEval
sb3_contrib.common.wrappers.action_masker: ActionMasker
sb3_contrib.common.wrappers.time_feature: TimeFeatureWrapper
sb3_contrib.crossq.crossq: CrossQ
sb3_contrib.crossq.policies: Actor BasePolicy CrossQCritic CrossQPolicy MlpPolicy
sb3_contrib.ppo_mask.policies: CnnPolicy MaskableActorCriticCnnPolicy MaskableActorCriticPolicy
    MaskableMultiInputActorCriticPolicy MlpPolicy MultiInputPolicy
sb3_contrib.ppo_mask.ppo_mask: MaskablePPO
sb3_contrib.ppo_recurrent.policies: CnnLstmPolicy MlpLstmPolicy MultiInputLstmPolicy
    RecurrentActorCriticCnnPolicy RecurrentActorCriticPolicy RecurrentMultiInputActorCriticPolicy
sb3_contrib.ppo_recurrent.ppo_recurrent: RecurrentPPO
sb3_contrib.qrdqn.policies: BasePolicy CnnPolicy MlpPolicy MultiInputPolicy QRDQNPolicy QuantileNetwork
sb3_contrib.qrdqn.qrdqn: QRDQN
sb3_contrib.tqc.policies: Actor BasePolicy CnnPolicy Critic MlpPolicy MultiInputPolicy TQCPolicy
sb3_contrib.tqc.tqc: TQC
sb3_contrib.trpo.policies: ActorCriticCnnPolicy ActorCriticPolicy CnnPolicy MlpPolicy
    MultiInputActorCriticPolicy MultiInputPolicy
sb3_contrib.trpo.trpo: TRPO
"""


def _table(text: str) -> Mapping[str, frozenset[str]]:
    """Read the text: a module to a line, whose names may go on in further ones."""
    entries = (entry.partition(": ") for entry in text.replace("\n    ", " ").strip().splitlines())
    return {module: frozenset(names.split()) for module, _, names in entries}


NAMES = _table(_TEXT)
"""The names of classes and functions by the module that defines them; of policies the short ones, too."""
