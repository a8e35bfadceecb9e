"""What the words of names say of a checkpoint and a pickle."""

import pytest

from sb3port.readers.places.words import Relation, relate, tells_no_model, words_of


@pytest.mark.parametrize(
    ("name", "which", "when"),
    [
        ("walker_v1", {"walker", "1"}, set()),
        ("vec_normalize", set(), set()),
        ("VecNormalize-final", set(), {"final"}),
        ("BestModel", set(), {"best"}),
        ("rl_model_vecnormalize_1000_steps", set(), {"1000"}),
        ("model_100k", set(), {"100000"}),
        ("step_500", set(), {"500"}),
        ("checkpoint_12", set(), {"12"}),
        ("ppo_20", {"ppo", "20"}, set()),
        ("ppo_v1.2", {"ppo", "1.2"}, set()),
        ("seed7", {"7"}, set()),
        ("ppo-Pendulum-v1", {"ppo", "pendulum-v1"}, set()),
        ("vec-normalize-v2", {"2"}, set()),
        ("ppo_20240131", {"ppo", "20240131"}, set()),
        ("vec_normalize (1)", set(), set()),
    ],
)
def test_what_a_name_tells(name: str, which: set[str], when: set[str]) -> None:
    words = words_of(name)
    assert ({text for _, text in words.which}, words.when) == (which, when)
    assert tells_no_model(name) == (not words.which)


@pytest.mark.parametrize(
    ("checkpoint", "pickle", "relation"),
    [
        ("walker_v1", "vec_normalize_v2", Relation.FOREIGN),
        ("walker_v2", "vec_normalize_v2", Relation.RELATED),
        ("walker_v2", "walker_v2_vecnormalize", Relation.NAMED),
        ("walker", "vec_normalize_v6", Relation.STRANGE),
        ("walker", "hopper_vec", Relation.STRANGE),
        ("model", "vec_normalize", Relation.NEUTRAL),
        ("model", "vec_normalize_final", Relation.NEUTRAL),
        ("best_model", "vec_normalize_final", Relation.SIBLING),
        ("best_model", "ppo_walker_vecnormalize", Relation.SIBLING),
        ("ppo_best", "ppo_best_vecnorm", Relation.NAMED),
        ("ppo_best", "ppo_last_vecnorm", Relation.SIBLING),
        ("rl_model_1000_steps", "rl_model_vecnormalize_1000_steps", Relation.NAMED),
        ("rl_model_3000_steps", "rl_model_vecnormalize_1000_steps", Relation.SIBLING),
        ("ppo_10", "vn_20", Relation.FOREIGN),
        ("ppo_10", "vn_10", Relation.RELATED),
        ("ppo-LunarLander-v2", "lunar_lander_vec", Relation.RELATED),
        ("ppo-LunarLander-v2", "lunarlander_stats", Relation.RELATED),
        ("lunar_lander", "vec_normalize_LunarLander-v2", Relation.NAMED),
        ("ppo-Hopper-v4", "vec_normalize_Walker2d-v4", Relation.FOREIGN),
        ("ppo_walker", "a2c_walker_vec", Relation.FOREIGN),
    ],
)
def test_what_a_name_says_of_a_checkpoint(checkpoint: str, pickle: str, relation: Relation) -> None:
    assert relate(words_of(checkpoint), words_of(pickle)) is relation


def test_folders_around_explain_words() -> None:
    assert relate(words_of("model"), words_of("vec_normalize_7"), words_of("run_7")) is Relation.NEUTRAL
    assert relate(words_of("model"), words_of("vec_normalize_7")) is Relation.STRANGE
