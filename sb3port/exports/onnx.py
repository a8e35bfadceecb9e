"""A policy as an ONNX file: normaliser, networks and action, raw observations in, environment actions out."""

import contextlib
import io
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.errors import NotPortable
from sb3port.exports.deployment import Deployment
from sb3port.exports.graphs import GraphOptions, Run, graph_metadata
from sb3port.exports.replay_deployment import make_deployment
from sb3port.exports.torch_program import quiet_tracing, trace

BATCH = "batch"


def write_onnx(checkpoint: Checkpoint, path: Path, options: GraphOptions) -> None:
    """Write an ONNX file whose metadata says what it was made of.

    Raises:
        NotPortable: ONNX has no form of the policy.
        OSError: The file cannot be written.
    """
    _refuse_unstable(checkpoint)
    deployment = make_deployment(checkpoint, options)
    program = trace(deployment, checkpoint)
    model = _convert(program, deployment, checkpoint)
    _forget_origin(model)
    _declare_shapes(model, deployment)
    onnx.helper.set_model_props(model, graph_metadata(checkpoint, options.raw))
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, path)


def load_onnx(path: Path) -> Run:
    """Load an ONNX file with onnxruntime as a function of arrays by name."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    wanted, names = ([value.name for value in side] for side in (session.get_inputs(), session.get_outputs()))

    def run(feeds: dict[str, Array]) -> dict[str, Array]:
        return dict(zip(names, session.run(names, {name: feeds[name] for name in wanted}), strict=True))

    return run


def _refuse_unstable(checkpoint: Checkpoint) -> None:
    """Refuse what torch writes as the logarithm of a number that may be 0."""
    if (name := checkpoint.spec.activation_fn) == "LogSigmoid":
        raise NotPortable(
            f"{checkpoint.provenance.name} has the activation {name}, which becomes infinite in ONNX",
            "export it with --to torch",
        )


def _convert(program: Any, deployment: Deployment, checkpoint: Checkpoint) -> Any:
    with quiet_tracing(), contextlib.redirect_stdout(io.StringIO()):
        try:
            converted = torch.onnx.export(
                program,
                (),
                dynamo=True,
                verbose=False,
                input_names=list(deployment.inputs),
                output_names=list(deployment.outputs),
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            reason = str(error.__cause__ or error).splitlines()[0][:300]
            raise NotPortable(f"ONNX has no form of {checkpoint.provenance.name}: {reason}") from error
    assert converted is not None
    return converted.model_proto


def _forget_origin(model: Any) -> None:
    """Leave out what torch notes of the code that was traced, paths of this machine included."""
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input):
        del part.metadata_props[:]
        part.doc_string = ""


def _declare_shapes(model: Any, deployment: Deployment) -> None:
    """Name the dimension of rows. Shapes in between are left to the runtime: torch gives LSTMs wrong ones."""
    del model.graph.value_info[:]
    examples = [given.example(2) for given in deployment.inputs.values()]
    with torch.no_grad():
        outputs = deployment(*examples)
    rows = [given.rows for given in deployment.inputs.values()]
    for declared, example, axis in zip(model.graph.input, examples, rows, strict=True):
        _declare(declared, example, axis)
    for declared, example in zip(model.graph.output, outputs, strict=True):
        _declare(declared, example, 1 if declared.name.endswith("_state") else 0)


def _declare(declared: Any, example: torch.Tensor, rows: int) -> None:
    shape: list[int | str] = list(example.shape)
    shape[rows] = BATCH
    kind = declared.type.tensor_type.elem_type
    declared.CopyFrom(onnx.helper.make_tensor_value_info(declared.name, kind, shape))
