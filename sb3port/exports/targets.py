"""The formats that a checkpoint is exported to: how each is written, and loaded again to be compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.errors import UsageError, VerificationFailed
from sb3port.exports.graphs import GraphOptions
from sb3port.exports.read_back import changes
from sb3port.exports.sb3_form import sb3_form
from sb3port.exports.zoo_form import write_settings
from sb3port.families.extractors import is_own
from sb3port.files.texts.names import module_name
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

if TYPE_CHECKING:
    from sb3port.exports.checks import Exported


@dataclass(frozen=True)
class Target:
    """A format to export to.

    Args:
        ending: Of the file, with its dot.
        extra: The extra of sb3port that it needs, if any.
        form: Gives a checkpoint in the terms of the format, with numbers in place of some schedules.
        write: Writes such a checkpoint into a file, and what belongs to it beside it.
        load: Loads the file again, for a comparison with the original checkpoint.
        named: Makes the file's name, without its ending, of the checkpoint's.
    """

    ending: str
    extra: str | None
    form: Callable[[Checkpoint, Mapping[str, float]], Checkpoint]
    write: Callable[[Checkpoint, Path, GraphOptions], None]
    load: Callable[[Path, Checkpoint, GraphOptions], "Exported"]
    named: Callable[[str], str] = str


def _write_sb3(checkpoint: Checkpoint, path: Path, _: GraphOptions) -> None:
    """Write a zip and read it back: it must be what was to be written, to the last setting."""
    from sb3port.exports.sb3 import write_sb3

    write_sb3(checkpoint, path)
    write_settings(checkpoint, path.parent)
    name = checkpoint.spec.features_extractor
    again = read_checkpoint(resolve(str(path), SourceOptions()), extractor=name if is_own(name) else None)
    changed = changes(checkpoint, again)
    if changed:
        raise VerificationFailed(
            f"{path.name} does not read back as it was written: {', '.join(changed)}", {}
        )


def _load_sb3(path: Path, checkpoint: Checkpoint, _: GraphOptions) -> "Exported":
    from sb3port.exports.loaded import LoadedModel
    from sb3port.exports.vecnormalize import STATISTICS
    from sb3port.networks.compiler import without_compiler

    with without_compiler():
        return LoadedModel(path, path.parent / STATISTICS, checkpoint)


def _write_onnx(checkpoint: Checkpoint, path: Path, graph: GraphOptions) -> None:
    from sb3port.exports.onnx import write_onnx

    write_onnx(checkpoint, path, graph)


def _load_onnx(path: Path, checkpoint: Checkpoint, graph: GraphOptions) -> "Exported":
    from sb3port.exports.deployed import Deployed
    from sb3port.exports.onnx import load_onnx

    return Deployed(load_onnx(path), checkpoint, graph)


def _write_torch(checkpoint: Checkpoint, path: Path, graph: GraphOptions) -> None:
    from sb3port.exports.torch_program import write_torch_program

    write_torch_program(checkpoint, path, graph)


def _load_torch(path: Path, checkpoint: Checkpoint, graph: GraphOptions) -> "Exported":
    from sb3port.exports.deployed import Deployed
    from sb3port.exports.torch_program import load_torch_program

    return Deployed(load_torch_program(path), checkpoint, graph)


def _write_numpy(checkpoint: Checkpoint, path: Path, graph: GraphOptions) -> None:
    from sb3port.exports.numpy_arrays import write_numpy

    write_numpy(checkpoint, path, graph)


def _load_numpy(path: Path, checkpoint: Checkpoint, graph: GraphOptions) -> "Exported":
    from sb3port.exports.deployed import Deployed
    from sb3port.exports.numpy_arrays import load_numpy

    return Deployed(load_numpy(path), checkpoint, graph)


def _as_it_is(checkpoint: Checkpoint, _: Mapping[str, float]) -> Checkpoint:
    return checkpoint


TARGETS = {
    "sb3": Target(".zip", "sb3", sb3_form, _write_sb3, _load_sb3),
    "onnx": Target(".onnx", "onnx", _as_it_is, _write_onnx, _load_onnx),
    "torch": Target(".pt2", "torch", _as_it_is, _write_torch, _load_torch),
    "numpy": Target(".npz", None, _as_it_is, _write_numpy, _load_numpy, module_name),
}


def target_of(name: str) -> Target:
    """Give the format of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in TARGETS:
        raise UsageError(f"{name[:200]} is no format to export to", f"choose of {', '.join(TARGETS)}")
    return TARGETS[name]
