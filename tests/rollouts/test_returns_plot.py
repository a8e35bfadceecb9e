"""The picture of returns: rows say whose they are, and identical ones are one row."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from sb3port.commands.evaluate import Evaluation
from sb3port.commands.returns_plot import Returns, plot_returns
from sb3port.files.texts.plot_text import plot_text
from sb3port.readers.meaning.published import PublishedResult

PUBLISHED = PublishedResult(-172.3, 104.2, 10, "results.json")
TITLE = plot_text("a port in Pendulum-v1")


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Catch what is drawn, in pixels."""
    caught: list[Any] = []
    save = Figure.savefig

    def saved(figure: Figure, *arguments: Any, **options: Any) -> None:
        save(figure, *arguments, **options)
        caught.append(figure.axes[0])

    monkeypatch.setattr(Figure, "savefig", saved)
    return caught


def evaluated(*returns: float) -> Evaluation:
    return Evaluation("Pendulum-v1", tuple(range(len(returns))), returns, (200,) * len(returns))


def labels(axes: list[Any]) -> list[str]:
    return [text.get_text() for text in axes[-1].texts]


def test_identical_series_are_said_to_be(axes: list[Any], tmp_path: Path) -> None:
    same = evaluated(-1.0, -2.0, -3.0), evaluated(-1.0, -2.0, -3.0)
    plot_returns(Returns(TITLE, *same, PUBLISHED), tmp_path / "same.png")
    assert labels(axes) == [
        "port and SB3, identical in every episode: -2.00 ± 0.58 (standard error)",
        "published (results.json): -172.30 ± 104.20 (standard deviation)",
    ]
    plot_returns(Returns(TITLE, same[0], evaluated(-1.0, -2.0, -4.0)), tmp_path / "others.png")
    assert [label.partition(":")[0] for label in labels(axes)] == [
        "port",
        "SB3, identical in 2 of 3 episodes",
    ]
    plot_returns(Returns(TITLE, evaluated(-1.0)), tmp_path / "one.png")
    assert labels(axes) == ["port: -1.00"]


def test_there_is_no_wide_margin(axes: list[Any], tmp_path: Path) -> None:
    plot_returns(Returns(TITLE, evaluated(-1.0, -2.0), evaluated(-1.0, -3.0), PUBLISHED), tmp_path / "a.png")
    (drawn,) = axes
    box = drawn.get_position()
    assert box.x0 < 0.05
    assert box.x1 > 0.95
