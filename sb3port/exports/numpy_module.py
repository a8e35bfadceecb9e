"""The module of an export to NumPy: a class for the one policy, and what it calls, copied from here.

Nothing that a file says is in its source, which is made of names of ours, and of counts. Numbers, keys and
texts are in the arrays beside it.
"""

import ast
import inspect
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiDiscrete, Simple, Space, parts
from sb3port.checkpoint.version import __version__
from sb3port.exports import numpy_parts
from sb3port.exports.graphs import GraphOptions
from sb3port.families.activations import parse_activation
from sb3port.inference import numpy_activations, numpy_layers
from sb3port.inference.layers import acting_layers, choice, extraction, mlp_layers

_COPIED_FROM = (numpy_parts, numpy_layers, numpy_activations)
_INDENT, _STEP, _LONGEST = 8, 4, 70  # of expressions in the source
_TEMPLATES = Path(__file__).with_name("templates")
# Statements of a module's head, by a name that it needs them for; in the order of imports.
_IMPORTS = {
    "json": "import json",
    "math": "import math",
    "Callable": "collections.abc",
    "Mapping": "collections.abc",
    "Sequence": "collections.abc",
    "partial": "functools",
    "Path": "pathlib",
    "Any": "typing",
    "np": "import numpy as np",
    "as_strided": "numpy.lib.stride_tricks",
}


def module_source(checkpoint: Checkpoint, options: GraphOptions) -> str:
    """Give the source of the module for a checkpoint; its arrays are those of `numpy_arrays`.

    Args:
        checkpoint: Whose features extractor is none of the user's own.
        options: What it shall take and give.
    """
    template = _templates().get_template("policy.py.j2")
    known = _description(checkpoint, options)
    own = template.render(known, imports="", copied="")
    copied = _needed(own)
    names = _names("\n".join((own, *copied)))
    source = template.render(known, imports=_imports(names), copied="\n\n\n".join(copied))
    return f"{source.rstrip()}\n"


def numbered(space: Space) -> list[tuple[int | None, str, Simple]]:
    """Give the parts of an observation with their numbers, by which arrays are named; None for no Dict."""
    several = isinstance(space, Dict)
    return [(n if several else None, key, part) for n, (key, part) in enumerate(parts(space).items())]


def part_name(number: int | None) -> str:
    """Name the arrays of a part of the observations."""
    return "observation" if number is None else f"observation.{number}"


def extractor_name(number: int | None, critic: bool = False) -> str:
    """Name the features extractor of a part as SB3 does, with its number for its key in a Dict."""
    name = "vf_features_extractor" if critic else "features_extractor"
    return name if number is None else f"{name}.extractors.{number}"


def _description(checkpoint: Checkpoint, options: GraphOptions) -> dict[str, Any]:
    """Say what the template asks: flags of ours, and expressions."""
    spec, value = checkpoint.spec, "value" in options.outputs
    (chooser, sizes), acting = choice(spec), acting_layers(spec)
    bounds = _bounds(checkpoint) if not options.raw else ""
    call = "self.choose(outputs)" if sizes else f"{chooser}(outputs)" if chooser else "outputs"
    apart = value and not spec.share_features_extractor
    return {
        "version": __version__,
        "keys": isinstance(spec.observation_space, Dict),
        "raw": options.raw,
        "observe": _observing(checkpoint, options.raw, critic=False),
        "critic_observe": _observing(checkpoint, options.raw, critic=True) if apart else "",
        "recurrent": spec.lstm_hidden_size is not None,
        "masked": spec.maskable,
        "mlp": _mlp(acting.hidden, spec.activation_fn, acting.norms),
        "last": acting.last,
        "value": value,
        "value_mlp": _mlp(mlp_layers(spec, "value_net"), spec.activation_fn),
        "chooser": f'{chooser}(arrays["sizes"].tolist())' if sizes else "",
        "bounds": bounds,
        "actions": f"self.bound({call})" if bounds else call,
    }


def _observing(checkpoint: Checkpoint, raw: bool, critic: bool) -> str:
    """Give what reads an observation; of a Dict, a list of what reads its parts."""
    several = isinstance(checkpoint.spec.observation_space, Dict)
    parts = list(_observed(checkpoint, raw, critic, _INDENT + _STEP if several else _INDENT))
    return _written("[", parts, "]", _INDENT) if several else parts[0]


def _observed(checkpoint: Checkpoint, raw: bool, critic: bool, indent: int) -> Iterator[str]:
    spec, normalizer = checkpoint.spec, None if raw else checkpoint.normalizer
    statistics = normalizer.statistics if normalizer else {}
    stacks = stacks_of(normalizer, spec.observation_space)
    for number, key, space in numbered(spec.observation_space):
        name = part_name(number)
        is_image = isinstance(space, Box) and (
            space.is_image or (key in statistics and len(space.shape) == 3)
        )
        before = [f'OneHot(arrays, "{name}")'] if isinstance(space, Discrete | MultiDiscrete) else []
        if key in statistics:
            before = [f'{"NormalizeFrames" if key in stacks else "Normalize"}(arrays, "{name}")']
        made = [_made(step, extractor_name(number, critic)) for step in extraction(spec, space)]
        # Those before give floats.
        steps = [*before, *(step for step in made if not before or step != "floats")]
        listed = _written("[", steps, "]", indent + _STEP)
        kind = "ImagePart" if is_image else "Part"
        yield _written(f"{kind}(", [f'arrays["{name}.shape"]', listed], ")", indent)


def _made(step: str, name: str) -> str:
    return f'{step}(arrays, "{name}")' if step in ("NatureCnn", "RunningNorm") else step


def _mlp(layers: Sequence[str], activation: str, norms: Sequence[str] = ()) -> str:
    if not layers:
        return ""
    if norms:
        renorms = [f'Renorm(arrays, "{name}", arrays["batch_norm_eps"].item())' for name in norms]
        linears = [f'Linear(arrays, "{layer}")' for layer in layers]
        both = [_written("[", made, "]", _INDENT + _STEP) for made in (renorms, linears)]
        return _written("NormedMlp(", [*both, _activation(activation)], ")", _INDENT)
    listed = _written("[", [f'Linear(arrays, "{layer}")' for layer in layers], "]", _INDENT + _STEP)
    return _written("Mlp(", [listed, _activation(activation)], ")", _INDENT)


def _written(begin: str, parts: Sequence[str], end: str, indent: int) -> str:
    """Write parts on one line, or one below the other where they are too long for that."""
    line = f"{begin}{', '.join(parts)}{end}"
    if "\n" not in line and len(line) <= _LONGEST:
        return line
    below = "".join(f"{' ' * (indent + _STEP)}{part},\n" for part in parts)
    return f"{begin}\n{below}{' ' * indent}{end}"


def _bounds(checkpoint: Checkpoint) -> str:
    if not isinstance(checkpoint.spec.action_space, Box):
        return ""
    return "Unscale" if checkpoint.spec.squash_output else "Clip"


def _activation(text: str) -> str:
    found = parse_activation(text)
    function = numpy_activations.ACTIVATIONS[found.name].__name__
    given = "".join(f', {name}=arrays["activation.{name}"].item()' for name in found.arguments)
    return f"partial({function}{given})" if given else function


def _needed(source: str) -> list[str]:
    """Give the sources of what a source calls, and of what those call, in the order of `_blocks`."""
    blocks, needed, names = _blocks(), set[str](), _names(source)
    while found := (names & blocks.keys()) - needed:
        needed |= found
        names = {name for block in found for name in _names(blocks[block])}
    return [block for name, block in blocks.items() if name in needed]


@cache
def _blocks() -> dict[str, str]:
    """Give the sources of all classes and functions that can be copied, by name."""
    return {
        name: inspect.getsource(block).rstrip()
        for module in _COPIED_FROM
        for name, block in vars(module).items()
        if _is_copied(block, module)
    }


def _is_copied(block: object, module: ModuleType) -> bool:
    return (inspect.isclass(block) or inspect.isfunction(block)) and block.__module__ == module.__name__


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _imports(names: Iterable[str]) -> str:
    """Give the import statements for some names: those of Python, and then those of NumPy."""
    plain = [line for name, line in _IMPORTS.items() if name in names and line.startswith("import ")]
    wanted: dict[str, list[str]] = {}
    for name, module in _IMPORTS.items():
        if name in names and not module.startswith("import "):
            wanted.setdefault(module, []).append(name)
    others = [f"from {module} import {', '.join(of_it)}" for module, of_it in wanted.items()]
    lines = [*plain, *others]
    groups = ([line for line in lines if ("numpy" in line) == numpy] for numpy in (False, True))
    return "\n\n".join("\n".join(group) for group in groups)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
