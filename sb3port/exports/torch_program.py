"""A policy as a `torch.export` program (`.pt2`), which runs with torch alone."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.distributions import Distribution
from torch.export import Dim, ExportedProgram

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.errors import NotPortable
from sb3port.exports.deployment import Deployment
from sb3port.exports.graphs import GraphOptions, Run, graph_metadata
from sb3port.exports.replay_deployment import make_deployment

METADATA_FILE = "sb3port.json"


def write_torch_program(checkpoint: Checkpoint, path: Path, options: GraphOptions) -> None:
    """Write a program; `sb3port.json` among its extra files says what it takes and gives.

    Raises:
        NotPortable: torch cannot trace the policy.
    """
    deployment = make_deployment(checkpoint, options)
    names = {"inputs": list(deployment.inputs), "outputs": list(deployment.outputs)}
    metadata = json.dumps({**graph_metadata(checkpoint, options.raw), **names})
    torch.export.save(trace(deployment, checkpoint), path, extra_files={METADATA_FILE: metadata})


def load_torch_program(path: Path) -> Run:
    """Load a program as a function of arrays by name."""
    extra = {METADATA_FILE: ""}
    with quiet_tracing():
        module = torch.export.load(path, extra_files=extra).module()
    names = json.loads(extra[METADATA_FILE])

    def run(feeds: dict[str, Array]) -> dict[str, Array]:
        outputs = module(*(torch.as_tensor(feeds[name]) for name in names["inputs"]))
        return {name: value.numpy() for name, value in zip(names["outputs"], outputs, strict=True)}

    return run


def trace(deployment: Deployment, checkpoint: Checkpoint) -> ExportedProgram:
    """Trace a policy for any number of rows.

    Raises:
        NotPortable: torch cannot.
    """
    examples = tuple(given.example(2) for given in deployment.inputs.values())
    batch = Dim("batch", min=1)
    rows = tuple({given.rows: batch} for given in deployment.inputs.values())
    with quiet_tracing():
        try:
            program = torch.export.export(
                deployment, examples, dynamic_shapes={"tensors": rows}, strict=False
            )
        except (torch._dynamo.exc.TorchDynamoException, RuntimeError, ValueError) as error:
            raise NotPortable(
                f"torch cannot trace {checkpoint.provenance.name}: {str(error).splitlines()[0][:300]}"
            ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # which has paths of this machine
    return program


@contextmanager
def quiet_tracing() -> Iterator[None]:
    """Leave out checks of values, which a trace has none of, and warnings of torch to its own authors."""
    checked = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Distribution.set_default_validate_args(checked)
