"""Activations with arguments: read from pickles, written as one text, and made from it again."""

import functools
import pickle
import sys
from typing import Any

import cloudpickle
import pytest
import torch
from torch import nn
from torch.nn import GELU

from sb3port.errors import NotPortable
from sb3port.families.activations import NAMES, activation_said, parse_activation
from sb3port.networks.mlp import make_activation
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.meaning.activations import read_activation


def _read(value: Any, dumps: Any = cloudpickle.dumps) -> str:
    return read_activation(read_pickle(dumps(value), "test").value, "activation_fn")


PARTIALS = {
    "Tanh": nn.Tanh,
    "ReLU": functools.partial(nn.ReLU, inplace=True),
    "LeakyReLU": functools.partial(nn.LeakyReLU, negative_slope=0.01),
    "LeakyReLU(negative_slope=0.2)": functools.partial(nn.LeakyReLU, 0.2),
    "LeakyReLU(negative_slope=1.0)": functools.partial(nn.LeakyReLU, negative_slope=1),
    "LeakyReLU(negative_slope=0.3)": functools.partial(functools.partial(nn.LeakyReLU, 0.3), inplace=True),
    "ELU(alpha=0.5)": functools.partial(nn.ELU, torch.nn.ELU(0.5).alpha),
    "Softplus(beta=2.0)": functools.partial(nn.Softplus, beta=2),
    "Softplus(threshold=5.0)": functools.partial(nn.Softplus, 1, 5),
    "Hardtanh(min_val=-2.0, max_val=2.0)": functools.partial(nn.Hardtanh, max_val=2, min_val=-2),
    "GELU(approximate='tanh')": functools.partial(nn.GELU, approximate="tanh"),
    "Softmax(dim=-1)": functools.partial(nn.Softmax, dim=1),
    "Threshold(threshold=0.0, value=1.0)": functools.partial(nn.Threshold, 0, 1),
}


@pytest.mark.parametrize("dumps", [cloudpickle.dumps, functools.partial(pickle.dumps, protocol=2)])
@pytest.mark.parametrize("text", PARTIALS)
def test_partials(text: str, dumps: Any) -> None:
    assert _read(PARTIALS[text], dumps) == text
    rows = torch.linspace(-30, 30, 600).view(3, -1)
    assert torch.equal(make_activation(text)(rows), PARTIALS[text]()(rows))
    assert str(parse_activation(text)) == text


SLOPE, NAMESPACE = 0.2, {"slope": 0.3}


def made() -> nn.Module:
    return nn.LeakyReLU(negative_slope=SLOPE)


def closure(slope: float) -> Any:
    def act(inplace: bool = False) -> nn.Module:
        factor = slope / 2
        return torch.nn.LeakyReLU(factor, inplace)

    return act


FUNCTIONS = {
    "LeakyReLU(negative_slope=0.2)": lambda: nn.LeakyReLU(0.2),
    "LeakyReLU(negative_slope=0.25)": closure(0.5),
    "ELU(alpha=0.5)": lambda: torch.nn.ELU(alpha=1 / 2),
    "Softplus(beta=2.0, threshold=10.0)": lambda b=2.0: nn.Softplus(b, threshold=10),
    "GELU(approximate='tanh')": lambda: GELU("tanh"),
    "Softmax(dim=-1)": lambda: nn.Softmax(dim=-1),
    "Tanh": lambda: nn.Tanh(),  # noqa: PLW0108 (a user's)
}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_functions_whose_code_the_file_carries(text: str) -> None:
    assert _read(FUNCTIONS[text], _carried) == text


def test_functions_that_name_what_they_need() -> None:
    assert _read(made, _carried) == "LeakyReLU(negative_slope=0.2)"
    assert _read(functools.partial(closure(0.5), inplace=True), _carried) == "LeakyReLU(negative_slope=0.25)"


def _carried(value: Any) -> bytes:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(value)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.parametrize(
    "function",
    [
        lambda: nn.LeakyReLU(NAMESPACE["slope"]),
        lambda: nn.LeakyReLU(torch.rand(1).item()),
        lambda: nn.Sequential(nn.Tanh(), nn.ReLU()),
        lambda: nn.Linear(2, 2),
        lambda: 0.2,
        lambda: nn.LeakyReLU,
        lambda slope: nn.LeakyReLU(slope),  # noqa: PLW0108
        lambda: [nn.Tanh, nn.ReLU][0](),  # noqa: PLW0108
        lambda: getattr(nn, "Tanh")(),  # noqa: B009, PLW0108
    ],
)
def test_functions_that_cannot_be_told_are_not_guessed(function: Any) -> None:
    with pytest.raises(NotPortable, match=r"<lambda>, where a class of torch\.nn's activations is expected"):
        _read(function, _carried)


def test_a_function_that_makes_one_that_is_not_supported() -> None:
    with pytest.raises(NotPortable, match="LeakyReLU with other arguments"):
        _read(lambda: nn.LeakyReLU(slope=0.2), _carried)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nn.PReLU, "PReLU, which is not supported: it has weights of its own"),
        (functools.partial(nn.RReLU, 0.1), "RReLU, which is not supported: it draws random slopes"),
        (nn.Softmax, "Softmax without dim"),
        (
            functools.partial(nn.Softmax, dim=0),
            "a dim that is not the dimension of the features",
        ),
        (functools.partial(nn.LeakyReLU, slope=0.2), "LeakyReLU with other arguments than negative_slope"),
        (functools.partial(nn.LeakyReLU, 0.2, negative_slope=0.2), "other arguments"),
        (functools.partial(nn.LeakyReLU, float("nan")), "negative_slope that is no number"),
        (functools.partial(nn.GELU, "fast"), "approximate that is neither 'none' nor 'tanh'"),
        (functools.partial(torch.relu, 1), "where a class of torch.nn's activations is expected"),
        (nn.Linear, "where a class of torch.nn's activations is expected"),
    ],
)
def test_others_are_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(NotPortable) as caught:
        _read(value)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        *("", "tanh", "nn.Tanh", "Tanh()", "LeakyReLU(0.2)", "LeakyReLU(negative_slope=0.20)"),
        *("LeakyReLU(negative_slope=0.01)", "LeakyReLU( negative_slope=0.2)", "Softmax(dim=1)", "Linear"),
        *("__import__('os').system", "LeakyReLU(negative_slope=1e999)", "LeakyReLU(negative_slope=f())"),
        *("(" * 500, "ReLU" * 100, "LeakyReLU(*a)", "LeakyReLU(**{'negative_slope': 0.2})", "LeakyReLU.x(1)"),
    ],
)
def test_a_port_s_text_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match="the activation"):
        parse_activation(text)


def test_what_a_user_writes() -> None:
    assert str(activation_said("nn.LeakyReLU(0.2)")) == "LeakyReLU(negative_slope=0.2)"
    assert str(activation_said("torch.nn.Tanh")) == "Tanh"


def test_the_table_has_torch_s_own_defaults() -> None:
    for name in sorted(NAMES - {"Softmax", "Softmin", "LogSoftmax", "Threshold"}):
        made, text = getattr(nn, name)(), str(parse_activation(name))
        assert text == name
        assert repr(make_activation(name)) == repr(made)
