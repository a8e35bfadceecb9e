"""What fuzzing found, one small file for each kind."""

from pathlib import Path
from typing import Any

import pytest

from sb3port.errors import NotPortable, Sb3portError
from sb3port.ports.difference import difference
from sb3port.ports.reading import read_port
from sb3port.ports.writing import write_port
from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.meaning.published import published_result

from .hostile import Victim, assert_refused, pack, unpack_bytes


@pytest.mark.parametrize("name", ["ent_coef", "gamma", "num_timesteps", "n_epochs"])
@pytest.mark.parametrize("value", [float("nan"), "auto"])
def test_a_setting_that_is_no_number(name: str, value: Any, victim: Victim) -> None:
    """It was written as a port that could not be read."""
    victim.set(**{name: value})
    assert name in assert_refused(victim).message


@pytest.mark.parametrize("value", [float("inf"), -1.0, None, True])
def test_a_setting_that_a_port_keeps(value: Any, victim: Victim, tmp_path: Path) -> None:
    victim.set(max_grad_norm=value)
    checkpoint = victim.read()
    (tmp_path / "port").mkdir()
    write_port(checkpoint, tmp_path / "port")
    again = read_port(tmp_path / "port")
    assert again.training.hyperparameters["max_grad_norm"] == value
    assert difference(checkpoint, again).equal


def test_a_tensor_whose_size_is_a_flag(victim: Victim) -> None:
    inner = unpack_bytes(victim.members["policy.pth"])
    name = next(name for name in inner if name.endswith("/data.pkl"))
    flag = inner[name].replace(b"K@K\x03\x86", b"K@\x88\x86", 1)
    assert flag != inner[name]
    with pytest.raises(NotPortable, match="without a proper offset, size and stride"):
        read_torch(pack(inner | {name: flag}), "it")


def test_a_published_return_over_infinitely_many_episodes(victim: Victim) -> None:
    checkpoint = victim.read()
    infinite = '{"mean_reward": 1, "std_reward": 1, "n_eval_episodes": Infinity}'
    (victim.folder / "results.json").write_text(infinite, encoding="utf-8")
    assert published_result(checkpoint.provenance) is None


def test_a_message_is_one_line_without_control_characters() -> None:
    error = Sb3portError("a\x1b[31m\nb\u202e", "c\x00")
    assert (error.message, str(error), error.hint) == ("a\\x1b[31m\\nb\\u202e",) * 2 + ("c\\x00",)


def test_a_message_is_not_longer_than_a_page() -> None:
    assert Sb3portError("x" * 2400).message == "x" * 2400
    assert Sb3portError("x" * 10**6).message == "x" * 2400 + "..."
    assert len(Sb3portError("\x00" * 10**6).message) == 2403
