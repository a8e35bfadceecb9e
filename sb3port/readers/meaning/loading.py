"""Whether today's SB3 loads a zip as it is: what `BaseAlgorithm.load` would do with it, step by step.

It unpickles `data` field by field (`save_util.json_to_data`), builds the policy from the settings that are
left, and puts the tensors and the optimiser's state into it (`set_parameters`). Each step that fails on a
known file is told here from the file alone; nothing of it is run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, NetArch, ReplaySpec
from sb3port.checkpoint.contents import Loading
from sb3port.errors import NotPortable, Unsafe
from sb3port.families.names import COMPILED, EXTRACTOR
from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.bytecode import Version
from sb3port.readers.formats.pickles import names_in, pickles_of_torch
from sb3port.readers.formats.plain import as_dict
from sb3port.readers.formats.records import Global
from sb3port.readers.formats.tensors import list_tensors
from sb3port.readers.formats.todays import Lookup, builds, look_up, shown, this_python
from sb3port.readers.meaning.replay_loading import replay_gone, replay_members
from sb3port.readers.meaning.training import python_of

_NEEDED = ("policy_class", "observation_space", "action_space")
_CALLED = ("learning_rate",)  # the others are called when training goes on
_FUNCTIONS = ("learning_rate", "clip_range", "clip_range_vf")
# SB3 makes them anew, or does without them.
_OF_NO_CONSEQUENCE = re.compile(
    r"_.*|lr_schedule|exploration_schedule|ep_\w+_buffer|rollout_buffer_class|start_time"
)
_OLD_VARIABLES = ("pytorch_variables.pth", "tensors.pth")
_ON_POLICY_MEMBERS = ("policy.pth", "policy.optimizer.pth")
# What torch takes with `weights_only=True`.
_TENSORS = re.compile(
    r"collections\.OrderedDict|torch\.(\w+Storage|device|dtype|Size|_utils\._rebuild_(tensor(_v2)?|parameter))"
    r"|numpy\.(dtype|ndarray)|_codecs\.encode"
)
_BRINGS = {
    "gym": "gym's, and SB3 2 has Gymnasium instead: it would need the packages gym and shimmy",
    "rl_zoo3": "rl_zoo3's, which is another package",
    "imitation": "imitation's, which is another package",
}
_LONGEST = 300
_RANDOM = (
    "torch.compile's _orig_mod. is in the names of its tensors, so that SB3 leaves them out: "
    "the model has random weights"
)
_NUMPY = (("numpy._core.numeric", "NumPy 2"), ("numpy._core.", "NumPy 1.26 or newer"))


def read_loading(archive: Archive, checkpoint: Checkpoint | None) -> Loading:
    """Tell whether today's SB3 loads a zip, and what stops it or gets lost.

    Args:
        archive: The zip.
        checkpoint: The policy in it, None where none could be made of it: then only its pickles tell.

    Raises:
        NotPortable: It is more than what is left of the budget.
    """
    if archive.tensors_in is not None:
        problem = (
            "it is a policy without its model, which the policy's own class loads, and PPO.load does not"
        )
        return Loading((problem,), (), "", shown(this_python()))
    found = _Found(this_python(), python_of(archive))
    for key in filter(archive.is_pickled, archive.data):
        _unpickle(archive, key, found)
    _tell_modules(found)
    for key in _NEEDED:
        if key in found.lost or key not in archive.data:
            found.problems.append(f"without {key} there is no model")
    found.problems += _torch_files(archive)
    if checkpoint is not None:
        _lay_out(archive, checkpoint, found)
    losses = tuple(f"{', '.join(keys)}: {why}" for why, keys in found.losses.items())
    return Loading(tuple(dict.fromkeys(found.problems)), losses, _needs(found.names), shown(found.here))


@dataclass
class _Found:
    """What is found on the way.

    Args:
        here: The Python that loads it.
        there: The one that wrote it, None where nothing tells.
        losses: By reason, the settings that SB3 leaves out, or that do harm later.
        lost: Settings that cannot be unpickled, so that SB3 has its default instead.
        modules: By package, the settings that need one that is not there.
        names: Every name in the settings.
    """

    here: Version
    there: Version | None
    problems: list[str] = field(default_factory=list)
    losses: dict[str, list[str]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    modules: dict[str, list[str]] = field(default_factory=dict)
    names: set[Global] = field(default_factory=set)


def _unpickle(archive: Archive, key: str, found: _Found) -> None:
    """Tell what becomes of one setting."""
    try:
        names, codes = names_in(archive.pickled(key), archive.where(key)), archive.pickle(key).codes
    except Unsafe as error:
        found.problems.append(f"{key} is unsafe to unpickle: {error.message}"[:_LONGEST])
        return
    except NotPortable as error:
        found.problems.append(f"{key} cannot be unpickled: {error.message}"[:_LONGEST])
        return
    found.names |= names
    by_fate = {fate: sorted(map(str, _with(fate, names))) for fate in Lookup}
    if any(not builds(parts, found.here) for parts in codes):
        _lose(key, f"code of another Python than {shown(found.here)}", found)
    elif by_fate[Lookup.NO_MODULE]:
        for name in by_fate[Lookup.NO_MODULE]:
            found.modules.setdefault(name.partition(".")[0][:100], []).append(key)
    elif by_fate[Lookup.NO_NAME]:
        _lose(key, f"{by_fate[Lookup.NO_NAME][0][:_LONGEST]} is not there any more", found)
    elif codes and found.there not in (None, found.here):
        _note_foreign(key, found)


def _needs(names: set[Global]) -> str:
    """Tell which NumPy it takes; SB3 2.9 allows older ones, too."""
    modules = {f"{name.module}." for name in names}
    return next((what for prefix, what in _NUMPY if any(m.startswith(prefix) for m in modules)), "")


def _with(fate: Lookup, names: frozenset[Global]) -> Iterator[Global]:
    return (name for name in names if look_up(name) is fate)


def _lose(key: str, why: str, found: _Found) -> None:
    found.lost.add(key)
    if key in _NEEDED:
        found.problems.append(f"{key}: {why}")
    elif _OF_NO_CONSEQUENCE.fullmatch(key) is None:
        found.losses.setdefault(f"{why}, so that SB3 warns and takes its own default", []).append(key)


def _note_foreign(key: str, found: _Found) -> None:
    """Note a function whose code this Python takes although another one has compiled it."""
    assert found.there is not None
    what = f"bytecode of Python {shown(found.there)}, which {shown(found.here)} runs all the same"
    if key in _CALLED:
        found.problems.append(f"{key}: {what}: that can end the process, or give nonsense")
    elif key in _FUNCTIONS:
        harm = f"{what} when training goes on: that can end the process, or give nonsense"
        found.losses.setdefault(harm, []).append(key)


def _tell_modules(found: _Found) -> None:
    for package, keys in found.modules.items():
        fields = " and ".join(dict.fromkeys(keys))[:_LONGEST]
        are = "is" if len(set(keys)) == 1 else "are"
        whose = _BRINGS.get(package, f"of {package}, which is the author's own or another package")
        found.problems.append(f"No module named {package!r}: {fields} {are} {whose}")


def _torch_files(archive: Archive) -> Iterator[str]:
    """Tell what torch refuses to load as tensors, and which files have no place in a model."""
    for member in (name for name in archive.members if name.endswith(".pth")):
        try:
            pickles = pickles_of_torch(archive.members[member], member)
            names = frozenset[Global]().union(*(names_in(data, member) for data in pickles))
        except NotPortable as error:
            yield f"{member} cannot be loaded: {error.message}"[:_LONGEST]
            continue
        others = sorted(str(name) for name in names if _TENSORS.fullmatch(str(name)) is None)
        if others:
            yield f"{member} holds {others[0][:_LONGEST]}, and torch loads nothing but tensors from it"


def _lay_out(archive: Archive, checkpoint: Checkpoint, found: _Found) -> None:
    """Tell whether the tensors have their places in the policy that SB3 builds."""
    found.problems += _members(archive, _expected(archive, checkpoint))
    kwargs = {} if "policy_kwargs" in found.lost else as_dict(archive.value("policy_kwargs"), "policy_kwargs")
    spec = checkpoint.spec
    if isinstance(spec, ReplaySpec):
        linear = str(archive.value("policy_class")).endswith((".ARSLinearPolicy", ".LinearPolicy"))
        found.problems += replay_gone(spec, kwargs, linear)
    else:
        found.problems += _gone(checkpoint, kwargs)
    compiled = any(COMPILED in name for name in list_tensors(archive.members["policy.pth"], archive.name))
    if compiled and any(name.startswith(EXTRACTOR) for name in checkpoint.tensors):
        # Its message on missing keys is the one by which SB3 knows zips before 1.7, and it tries again.
        found.losses[_RANDOM] = ["policy.pth"]
    elif compiled:
        found.problems.append(
            "torch.compile's _orig_mod. is in the names of its tensors, which fit no policy"
        )
    if checkpoint.optimizer is None and "policy.optimizer.pth" in archive.members:
        found.problems.append("the optimiser's state is not one of the policy's parameters")


def _expected(archive: Archive, checkpoint: Checkpoint) -> tuple[str, ...]:
    spec = checkpoint.spec
    if isinstance(spec, ReplaySpec):
        return replay_members(spec, archive.data.get("ent_coef"))
    return _ON_POLICY_MEMBERS


def _members(archive: Archive, expected: tuple[str, ...]) -> Iterator[str]:
    names = [name for name in archive.members if name.endswith(".pth") and name not in _OLD_VARIABLES]
    yield from (f"it has no {name}" for name in expected if name not in names)
    yield from (f"{name[:100]} is nothing of the model" for name in names if name not in expected)


def _gone(checkpoint: Checkpoint, kwargs: dict[Any, Any]) -> Iterator[str]:
    """Tell what the policy has, and SB3 has no more or takes for something else."""
    spec = checkpoint.spec
    if spec.net_arch.shared:
        yield "it has layers that actor and critic share, which SB3 has not had since 1.8"
    elif (today := _net_arch(kwargs, spec.features_extractor)) != spec.net_arch:
        ours, theirs = (f"policy {list(arch.pi)}, value {list(arch.vf)}" for arch in (spec.net_arch, today))
        yield f"its layers are {ours}, and by its policy_kwargs SB3 would build {theirs}"
    if spec.sde_net_arch is not None or "sde_net_arch" in kwargs:
        yield "it has sde_net_arch, which SB3 has not had since 1.3"
    if spec.squash_output and not spec.use_sde:
        yield "it has squash_output without gSDE, which SB3 refuses since 2.2.1"
    if spec.lstm_hidden_size is not None:
        given = (bool(kwargs.get("shared_lstm", False)), bool(kwargs.get("enable_critic_lstm", True)))
        if given != (spec.shared_lstm, spec.enable_critic_lstm):
            yield "its LSTMs are not those that its policy_kwargs say, as sb3-contrib 1.6.0 mixed them up"


def _net_arch(kwargs: dict[Any, Any], extractor: str) -> NetArch:
    """Give the layers that SB3 builds today (`ActorCriticPolicy.__init__`, `MlpExtractor`)."""
    given = kwargs.get("net_arch")
    if isinstance(given, list | tuple) and given and isinstance(given[0], dict):
        given = given[0]
    if given is None:
        given = [] if extractor == "NatureCNN" else [64, 64]
    if isinstance(given, dict):
        return NetArch(*(_sizes(given.get(net)) for net in ("pi", "vf")))
    return NetArch(_sizes(given), _sizes(given))


def _sizes(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple(item for item in items if isinstance(item, int))
