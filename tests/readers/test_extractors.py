"""Arguments of features extractors that are not SB3's."""

import base64
from pathlib import Path

import pytest

from sb3port.errors import NotPortable
from tests.conftest import REPOSITORY

from .making import change, read

IMITATION = REPOSITORY / "fixtures/eras/2.2.1/ppo-imitation/ppo-imitation.zip"
NETWORKS = "cimitation.util.networks\n"


def with_argument(argument: str, folder: Path) -> Path:
    """Give the extractor of imitation's policy an argument, in a pickle of protocol 0."""
    cls = "Vfeatures_extractor_class\ncimitation.policies.base\nNormalizeFeaturesExtractor\n"
    pickled = f"(d{cls}sVfeatures_extractor_kwargs\n(d{argument}ss.".encode()
    kwargs = {":type:": "<class 'dict'>", ":serialized:": base64.b64encode(pickled).decode()}
    return change(IMITATION, folder / "model.zip", {"policy_kwargs": kwargs})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (f"Vnormalize_class\n{NETWORKS}EMANorm\n", "only imitation.util.networks.RunningNorm is supported"),
        ("Vnormalize_class\nVRunningNorm\n", "only imitation.util.networks.RunningNorm is supported"),
        ("Vmomentum\nI1\n", "no supported features extractor takes: momentum"),
    ],
)
def test_what_would_compute_something_else_is_refused(argument: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NotPortable, match=message):
        read(with_argument(argument, tmp_path))


def test_the_normaliser_that_is_supported_may_be_named(tmp_path: Path) -> None:
    spec = read(with_argument(f"Vnormalize_class\n{NETWORKS}RunningNorm\n", tmp_path)).spec
    assert spec.features_extractor == "NormalizeFeaturesExtractor"
    assert spec.features_extractor_kwargs == {}
