"""The observations on which ports are compared: drawn ones, edge cases, and what is read from files."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sb3port.checkpoint.checkpoint import EnvironmentSpec, NetArch, Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space
from sb3port.commands.observation_sets import ObservationContext, observation_sets
from sb3port.commands.policies import read_policy
from sb3port.errors import NotPortable, UsageError
from sb3port.networks.observations import BLOCK_ROWS, Digest, Observations, ObservationSet
from sb3port.parity.observations.drawn import drawn_observations
from sb3port.parity.observations.edge import edge_observations
from sb3port.parity.observations.recorded import recorded_observations

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"


def box(*shape: int, low: float = -np.inf, high: float = np.inf, dtype: str = "float32") -> Box:
    kind = np.dtype(dtype)
    return Box(shape, dtype, np.full(shape, low, kind), np.full(shape, high, kind))


def spec_of(space: Space, **fields: object) -> PolicySpec:
    action = fields.pop("action_space", Discrete(3))
    return PolicySpec("ppo", space, action, NetArch((4,), (4,)), **fields)  # type: ignore[arg-type]


PENDULUM = read_policy(FIXTURES / "ppo-Pendulum-v1")
EVERYTHING = Dict(
    {
        "vector": box(3),
        "image": box(12, 14, 3, low=0, high=255, dtype="uint8"),
        "choice": Discrete(5),
        "choices": MultiDiscrete(np.array([2, 3]), np.array([0, 0])),
        "flags": MultiBinary((4,)),
    }
)


def whole(observations: ObservationSet, key: str = "") -> np.ndarray:
    return np.concatenate([batch.parts[key] for batch in observations.batches()])


@pytest.mark.parametrize("normalised", [True, False])
def test_drawn_observations_are_in_the_space(normalised: bool) -> None:
    wide = Normalizer(RunningMeanStd(np.zeros(3), np.full(3, 100.0), 1.0), None)
    values = whole(drawn_observations(PENDULUM.spec, wide if normalised else None))
    space = PENDULUM.spec.observation_space
    assert isinstance(space, Box)
    assert values.dtype == np.float32
    assert ((values >= space.low) & (values <= space.high)).all()
    assert len(np.unique(values[:, 0])) > (1 if normalised else 200)


def test_edge_batches_are_of_all_kinds() -> None:
    batches = list(edge_observations(PENDULUM.spec, PENDULUM.normalizer).batches())
    assert {len(batch) for batch in batches} == {1, 7, 256}
    arrays = [batch.parts[""] for batch in batches]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32), np.dtype(np.float64)}
    assert {array.flags.c_contiguous for array in arrays} == {True, False}
    fine = next(array for array in arrays if array.dtype == np.float64)
    assert (fine != fine.astype(np.float32)).any()


def test_edge_values_are_beyond_what_is_clipped() -> None:
    assert PENDULUM.normalizer is not None
    values = whole(edge_observations(PENDULUM.spec, PENDULUM.normalizer))
    rms = PENDULUM.normalizer.statistics[""]
    sigmas = (values - rms.mean) / np.sqrt(rms.var)
    assert (values == 0).all(axis=1).any()
    for sign in (-1, 1):
        assert (sign * sigmas > 50).any(axis=0).all()
        assert np.isclose(sign * sigmas, 10, rtol=1e-3).any(axis=0).all()
    space = PENDULUM.spec.observation_space
    assert isinstance(space, Box)
    for bound in (space.low, space.high):
        assert (values == bound).all(axis=1).any()


def test_edge_values_of_every_space() -> None:
    edges = edge_observations(spec_of(EVERYTHING), None)
    images = whole(edges, "image")
    assert images.dtype == np.uint8
    assert {(int(image.min()), int(image.max())) for image in images} >= {(0, 0), (255, 255), (0, 255)}
    assert set(whole(edges, "choice")) == set(range(5))
    assert {tuple(row) for row in whole(edges, "choices")} == {(a, b) for a in range(2) for b in range(3)}
    assert {int(row.sum()) for row in whole(edges, "flags")} >= {0, 4}
    whole_numbers = spec_of(box(2, low=0, high=7, dtype="uint8"))
    assert whole(edge_observations(whole_numbers, None)).max() == 7


def test_edge_masks_and_memories() -> None:
    masked = spec_of(box(3), action_space=MultiDiscrete(np.array([2, 3]), np.array([0, 0])), maskable=True)
    masks = [batch.masks for batch in edge_observations(masked, None).batches()]
    assert all(mask is not None and mask[:, :2].any(axis=1).all() for mask in masks)
    assert any(mask is not None and (mask.sum(axis=1) == 2).all() for mask in masks)
    assert any(mask is not None and mask.all() for mask in masks)
    recurrent = spec_of(box(3), lstm_hidden_size=6)
    batches = list(edge_observations(recurrent, None).batches())
    starts = [batch.starts for batch in batches if batch.starts is not None]
    assert any(array.all() for array in starts)
    assert any(len(array) == 256 and not array.any() for array in starts)
    assert any(batch.states is not None and not batch.states.any() for batch in batches)
    assert {batch.steps for batch in batches} == {1, 32}


OBSERVATIONS = np.zeros((4, 3), np.float32)
DAMAGE = {
    "no observations": {"value": np.zeros(4)},
    "another shape": {"observation": np.zeros((4, 2))},
    "none at all": {"observation": np.zeros((0, 3))},
    "a single number": {"observation": np.zeros(())},
    "words": {"observation": np.array([["a", "b", "c"]])},
    "no numbers": {"observation": OBSERVATIONS * np.nan},
    "rows missing": {"observation": OBSERVATIONS, "value": np.zeros(3)},
    "actions of another shape": {"observation": OBSERVATIONS, "sampled_action": np.zeros((4, 2))},
    "complex numbers": {"observation": OBSERVATIONS, "value": np.zeros(4, complex)},
    "objects": {"observation": OBSERVATIONS, "value": np.array([{}] * 4)},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_recorded_outputs_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "reference.npz", **DAMAGE[name])
    with pytest.raises(NotPortable, match=r"reference\.npz"):
        list(recorded_observations(tmp_path / "reference.npz", PENDULUM.spec).batches())


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    original = (FIXTURES / "ppo-Pendulum-v1" / "reference.npz").read_bytes()
    for length in (0, 100, len(original) // 2, len(original) - 30):
        (tmp_path / "reference.npz").write_bytes(original[:length])
        with pytest.raises(NotPortable, match=r"reference\.npz"):
            list(recorded_observations(tmp_path / "reference.npz", PENDULUM.spec).batches())
    np.savez(tmp_path / "reference.npz", observation=np.full((4, 3), 7.25, np.float32))
    changed = (tmp_path / "reference.npz").read_bytes().replace(np.float32(7.25).tobytes(), b"1234", 1)
    (tmp_path / "reference.npz").write_bytes(changed)
    with pytest.raises(NotPortable, match=r"reference\.npz"):
        list(recorded_observations(tmp_path / "reference.npz", PENDULUM.spec).batches())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_are_read_in_blocks_of_rows(save: object, tmp_path: Path) -> None:
    values = np.arange(3 * 2500, dtype=np.float32).reshape(2500, 3)
    save(tmp_path / "many.npz", observation=values, value=values[:, 0])  # type: ignore[operator]
    found = recorded_observations(tmp_path / "many.npz", PENDULUM.spec)
    batches = list(found.batches())
    assert found.count == 2500
    assert [len(batch) for batch in batches] == [BLOCK_ROWS, BLOCK_ROWS, 2500 - 2 * BLOCK_ROWS]
    assert np.array_equal(np.concatenate([batch.values for batch in batches]), values)
    assert np.array_equal(np.concatenate([batch.recorded["value"] for batch in batches]), values[:, 0])


def test_columns_first_is_read_too(tmp_path: Path) -> None:
    values = np.arange(3 * 1500, dtype=np.float32).reshape(3, 1500).T
    np.savez(tmp_path / "columns.npz", observation=values)
    assert np.array_equal(whole(recorded_observations(tmp_path / "columns.npz", PENDULUM.spec)), values)


def test_sequences_stay_whole(tmp_path: Path) -> None:
    spec = spec_of(box(3), lstm_hidden_size=2)
    values = np.arange(40 * 100 * 3, dtype=np.float32).reshape(-1, 3)
    states = np.arange(4 * 40 * 2, dtype=np.float32).reshape(4, 1, 40, 2)
    extras = {"episode_starts": np.zeros(4000, bool), "initial_states": states, "final_states": states}
    np.savez(tmp_path / "sequences.npz", observation=values, **extras)
    batches = list(recorded_observations(tmp_path / "sequences.npz", spec).batches())
    assert [len(batch) for batch in batches] == [1000] * 4
    assert {batch.steps for batch in batches} == {100}
    assert np.array_equal(np.concatenate([batch.states for batch in batches], axis=2), states)  # type: ignore[arg-type]
    assert np.array_equal(
        np.concatenate([batch.recorded["final_states"] for batch in batches], axis=2), states[:2]
    )


def test_memory_stays_flat(tmp_path: Path) -> None:
    peaks = []
    for rows in (20_000, 200_000):
        np.savez_compressed(tmp_path / "many.npz", observation=np.zeros((rows, 3), np.float32))
        tracemalloc.start()
        count = sum(map(len, recorded_observations(tmp_path / "many.npz", PENDULUM.spec).batches()))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == rows
    assert peaks[1] < 1.2 * peaks[0] < 2_000_000


def test_digest_is_that_of_the_rows_not_of_the_blocks() -> None:
    values = np.arange(30, dtype=np.float32).reshape(10, 3)
    digests = []
    for block in (2, 5, 10):
        digest = Digest()
        for begin in range(0, 10, block):
            digest.add(Observations({"": values[begin : begin + block]}))
        digests.append(digest.hexdigest())
    assert len(set(digests)) == 1
    other = Digest()
    other.add(Observations({"": values.astype(np.float64)}))
    assert other.hexdigest() != digests[0]


def test_sets_are_named_apart_and_edges_added(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", observation=np.zeros((4, 3), np.float32))
    reference = FIXTURES / "ppo-Pendulum-v1" / "reference.npz"
    context = ObservationContext(PENDULUM, reference)
    sets = observation_sets(("recorded", str(tmp_path / "mine.npz"), "edge", "edge"), context)
    assert [found.name for found in sets] == ["recorded", "recorded-2", "edge"]
    assert [found.name for found in observation_sets((), context)] == ["recorded", "edge"]
    bare = ObservationContext(PENDULUM)
    assert [found.name for found in observation_sets((), bare)] == ["drawn", "edge"]
    for name in ("recorded", "rollout", "absent.npz"):
        with pytest.raises(UsageError):
            observation_sets((name,), bare)


def test_rollouts_are_what_the_policy_meets() -> None:
    (rollout, _) = observation_sets(
        ("rollout",), ObservationContext(PENDULUM, environment=EnvironmentSpec("Pendulum-v1"))
    )
    values = whole(rollout)
    assert values.shape == (rollout.count, 3)
    assert np.allclose(values[:, 0] ** 2 + values[:, 1] ** 2, 1, atol=1e-5)  # cosine and sine
    assert len(np.unique(values, axis=0)) > 900
    with pytest.raises(UsageError, match="CartPole"):
        observation_sets(
            ("rollout",), ObservationContext(PENDULUM, environment=EnvironmentSpec("CartPole-v1"))
        )
