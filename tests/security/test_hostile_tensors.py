"""Tensors, statistics and optimisers that lie about themselves: each is refused, soon and cheaply."""

import pickle
from typing import Any

import numpy as np
import pytest

from .hostile import Victim, assert_refused, bounded, text, unpack_bytes


def _tensor(
    size: tuple[Any, ...], stride: tuple[Any, ...], offset: Any = 0, key: Any = "0", count: Any = 1
) -> bytes:
    """Opcodes of a state dictionary that holds one tensor."""

    def push(value: Any) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + push(key) + text("cpu") + push(count) + b"tQ"
    )
    call = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + push(offset)
        + push(size)
        + push(stride)
        + b"\x89Nt"
        + b"R"
    )
    return b"\x80\x02}" + text("log_std") + call + b"s."


TENSORS = {
    "giant shape": _tensor((2**40,), (1,)),
    "giant shape of stride 0": _tensor((2**33,), (0,)),
    "product beyond 64 bits": _tensor((2**40, 2**40), (0, 0)),
    "giant empty shape": _tensor((0, 2**62, 2**62), (1, 1, 1)),
    "giant number": _tensor((10**200,), (1,)),
    "out of range": _tensor((2,), (10**6,)),
    "giant stride": _tensor((1,), (2**70,)),
    "negative stride": _tensor((2,), (-1,)),
    "negative size": _tensor((-1,), (1,)),
    "negative offset": _tensor((1,), (1,), -1),
    "offset beyond the storage": _tensor((1,), (1,), 10**9),
    "overlapping": _tensor((64, 64), (0, 1)),
    "too many dimensions": _tensor((1,) * 100, (1,) * 100),
    "size and stride differ": _tensor((1, 1), (1,)),
    "size of words": _tensor(("a",), (1,)),
    "size of fractions": _tensor((1.5,), (1,)),
    "no size": _tensor(None, None),  # type: ignore[arg-type]
    "no offset": _tensor((1,), (1,), None),
    "storage of another length": _tensor((1,), (1,), count=2**40),
    "storage without a length": _tensor((1,), (1,), count=None),
    "storage that is absent": _tensor((1,), (1,), key="nope"),
    "storage outside": _tensor((1,), (1,), key="../../data"),
    "storage by a list": _tensor((1,), (1,), key=["0"]),
    "no arguments": b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "no storage": b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00K\x01\x85K\x01\x85\x89NtR.",
    "storage by a number": b"ctorch._utils\n_rebuild_tensor_v2\n(K\x05QK\x00K\x01\x85K\x01\x85\x89NtR.",
    "storage by a text": b"ctorch._utils\n_rebuild_tensor_v2\n(Pstorage\nK\x00K\x01\x85K\x01\x85\x89NtR.",
    "unhashable key": b"ccollections\nOrderedDict\n)R](]K\x01u.",
    "not a dictionary": b"]K\x01a.",
    "a number": b"K\x01.",
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors(name: str, victim: Victim) -> None:
    inner = unpack_bytes(victim.members["policy.pth"])
    key = next(member for member in inner if member.endswith("/data/0"))
    count = len(inner[key]) // 4
    honest = _tensor((1,), (1,))
    assert honest != TENSORS[name]
    hostile = TENSORS[name].replace(
        text("cpu") + b"K\x01t", text("cpu") + pickle.dumps(count, 2)[2:-1] + b"t"
    )
    if "OrderedDict" in repr(hostile) or "_rebuild_tensor" in repr(hostile):  # what is broken wherever it is
        members = dict(victim.members)
        victim.put("policy.optimizer.pth", hostile)
        assert_refused(victim)
        victim.members = members
    victim.put("policy.pth", hostile)
    assert_refused(victim)


def test_one_storage_shown_again_and_again(victim: Victim) -> None:
    inner = unpack_bytes(victim.members["policy.pth"])
    name = max((member for member in inner if "/data/" in member), key=lambda member: len(inner[member]))
    count = len(inner[name]) // 4
    tensor = _tensor((count,), (1,), key=name.rpartition("/")[2], count=count)
    one = tensor.partition(text("log_std"))[2].removesuffix(b"s.")
    many = b"".join(text(f"x{i}") + one + b"s" for i in range(13_500))
    victim.put("policy.pth", b"\x80\x02}" + many + b".")
    assert "which no honest checkpoint of its size does" in assert_refused(victim).message


def _arrays(victim: Victim, change: Any) -> None:
    """Change the arrays of policy.pth, as torch would save them."""
    import io

    import torch

    state = torch.load(io.BytesIO(victim.members["policy.pth"]), weights_only=True)
    change(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    victim.members["policy.pth"] = buffer.getvalue()
    victim.write()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["value_net.bias"].fill_(float("nan")), "NaN"),
        (lambda state: state["value_net.bias"].fill_(float("inf")), "NaN or infinite"),
        (
            lambda state: state.update({"value_net.weight": state["value_net.weight"].T}),
            "value_net.weight is",
        ),
        (lambda state: state.pop("action_net.bias"), "action_net.bias is missing"),
        (lambda state: state.update(extra=state["log_std"]), "extra"),
        (lambda state: state.update({"log_std": state["log_std"].double()}), "float64"),
        (
            lambda state: state.update(
                {"mlp_extractor.policy_net." + "9" * 5000 + ".weight": state["log_std"]}
            ),
            "has no place",
        ),
        (lambda state: state.clear(), "not a dictionary of named tensors"),
    ],
)
def test_weights(change: Any, words: str, victim: Victim) -> None:
    _arrays(victim, change)
    assert words in assert_refused(victim).message


def _statistics(victim: Victim, change: Any) -> None:
    path = victim.folder / "vec_normalize.pkl"
    loaded = pickle.loads(path.read_bytes())
    change(loaded)
    loaded.__dict__.update(venv=None, class_attributes={}, returns=None)  # which saving leaves out
    path.write_bytes(pickle.dumps(loaded))


@pytest.mark.parametrize(
    "change",
    [
        lambda vec: vec.obs_rms.mean.fill(np.nan),
        lambda vec: vec.obs_rms.var.fill(-1.0),
        lambda vec: setattr(vec.obs_rms, "var", np.ones(4)),
        lambda vec: setattr(vec.obs_rms, "mean", "no"),
        lambda vec: setattr(vec.obs_rms, "count", float("nan")),
        lambda vec: setattr(vec, "epsilon", float("nan")),
        lambda vec: setattr(vec, "clip_obs", -1.0),
        lambda vec: setattr(vec, "clip_obs", 10**500),
        lambda vec: setattr(vec, "clip_obs", None),
        lambda vec: setattr(vec, "obs_rms", None),
        lambda vec: setattr(vec, "obs_rms", {1: vec.obs_rms}),
        lambda vec: setattr(vec, "obs_rms", {"a": None}),
        lambda vec: setattr(vec, "gamma", 1j),
        lambda vec: setattr(vec, "gamma", np.complex128(1j)),
    ],
)
def test_statistics(change: Any, victim: Victim) -> None:
    _statistics(victim, change)
    assert_refused(victim)


def _optimizer(victim: Victim, **changes: Any) -> None:
    import io

    import torch

    saved = torch.load(io.BytesIO(victim.members["policy.optimizer.pth"]), weights_only=True)
    buffer = io.BytesIO()
    torch.save(saved | changes, buffer)
    victim.members["policy.optimizer.pth"] = buffer.getvalue()
    victim.write()


@pytest.mark.parametrize(
    "changes",
    [
        {"param_groups": []},
        {"param_groups": [1]},
        {"param_groups": 1},
        {"param_groups": [{"params": [1]}]},
        {"param_groups": [{"params": [[]] * 12}]},
        {"state": []},
        {"state": {99: {}}},
        {"state": {0: 1}},
        {"state": {0: {"exp_avg": "x"}}},
        {"state": {0: {"exp_avg": float("nan")}}},
    ],
    ids=str,
)
def test_optimizers_that_do_not_fit_are_left_out(changes: dict[str, Any], victim: Victim) -> None:
    _optimizer(victim, **changes)
    with bounded():
        checkpoint = victim.read()
    assert checkpoint.optimizer is None
    assert any("optimiser" in warning for warning in checkpoint.warnings)


def test_statistics_of_a_dict_belong_to_another_model(victim: Victim) -> None:
    _statistics(victim, lambda vec: setattr(vec, "obs_rms", {"a": vec.obs_rms}))
    assert "another model" in assert_refused(victim, 2).message
