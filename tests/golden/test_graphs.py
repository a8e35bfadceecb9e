"""ONNX files against outputs that the SB3 of the checkpoints' own time recorded."""

from pathlib import Path

import pytest

from sb3port.exports.graphs import GraphOptions
from tests.conformance.cases import sampled
from tests.conformance.test_graphs import ON_POLICY
from tests.exports import export_of
from tests.golden.test_eras import ERAS, NAMES
from tests.golden.test_zoo import MODELS
from tests.ports import port_of

pytestmark = pytest.mark.long

# The others have the same policies.
SOME = [name for name in NAMES if name.startswith(("1.0/", "1.8.0/", "2.2.1/", "2.9.2/"))]


def export_to_onnx(source: Path, folder: Path) -> None:
    spec = port_of(source, folder / "port", verify=False).checkpoint.spec
    graph = GraphOptions(ON_POLICY[:2] if spec.squash_output and spec.use_sde else ON_POLICY)
    recorded = (str(source / "reference.npz"),)
    done = export_of(folder / "port", folder / "export", target="onnx", graph=graph, observations=recorded)
    assert done.report is not None
    compared = {check.output for check in done.report.checks if check.against == "reference"}
    assert compared >= {"action", "value"}
    assert done.report.holds()


@pytest.mark.parametrize("name", sampled(SOME, every=4))
def test_fixtures_are_within_noise(name: str, tmp_path: Path) -> None:
    export_to_onnx(ERAS / name, tmp_path)


@pytest.mark.zoo
@pytest.mark.parametrize("name", sampled(MODELS, every=4))
def test_zoo_models_are_within_noise(name: str, zoo: Path, tmp_path: Path) -> None:
    export_to_onnx(zoo / name, tmp_path)
