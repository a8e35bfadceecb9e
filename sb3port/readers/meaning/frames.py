"""Statistics of one frame beside a policy that sees several: what tells that they belong together."""

from collections.abc import Mapping
from contextlib import suppress

from sb3port.checkpoint.checkpoint import Normalizer, PolicySpec
from sb3port.checkpoint.frames import FLOATS, Shape, Stack, stacks_of
from sb3port.checkpoint.spaces import Box, parts
from sb3port.errors import NotPortable
from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.arrays import as_array
from sb3port.readers.formats.records import Record
from sb3port.readers.meaning.zoo_config import ZooConfig


def check_frames(normalizer: Normalizer, spec: PolicySpec, name: str) -> Mapping[str, Stack]:
    """Give the stacks by key, and make sure that SB3 has such.

    Args:
        normalizer: Whose statistics fit the policy.
        spec: The policy.
        name: The file of the statistics, for messages.

    Raises:
        NotPortable: VecFrameStack would round what VecNormalize gives, or stacks some parts more than others.
    """
    stacks, spaces = stacks_of(normalizer, spec.observation_space), parts(spec.observation_space)
    for key in stacks:
        space = spaces[key]
        if isinstance(space, Box) and space.dtype not in FLOATS:
            raise NotPortable(
                f"{name} normalises single frames, which VecFrameStack then rounds to {space.dtype}: that is "
                "not supported",
                "port the bare network with --no-stats",
            )
    if len({stack.count for stack in stacks.values()}) > 1 or 0 < len(stacks) < len(normalizer.statistics):
        raise NotPortable(
            f"{name} holds statistics of frames of which the model sees different numbers",
            "name the right file with --vecnormalize PATH, or port the bare network with --no-stats",
        )
    return stacks


def shown_frames(stacks: Mapping[str, Stack], archive: Archive, config: ZooConfig | None) -> bool | None:
    """Say whether zip or `config.yml` show that single frames were normalised and then stacked.

    The zip holds the last observation that VecNormalize was given, `_last_original_obs`.

    Returns:
        None where neither tells.
    """
    seen = _seen_shapes(archive)
    told = [seen[key] == stack.frame for key, stack in stacks.items() if key in seen]
    if told:
        return all(told)
    counts = {stack.count for stack in stacks.values()}
    is_noted = config is not None and config.normalizes_observations and {config.frame_stack} == counts
    return True if is_noted else None


def frames_warning(stacks: Mapping[str, Stack], name: str) -> str:
    """Say what is taken for granted where nothing tells it."""
    frame, count = next((stack.frame, stack.count) for stack in stacks.values())
    return (
        f"{name} holds statistics of one frame of shape {frame}, which are applied to each of {count} "
        "frames: nothing else tells that the training normalised frames and stacked them then"
    )


def _seen_shapes(archive: Archive) -> dict[str, Shape]:
    """Give the shapes of the last observation before VecNormalize, by key; none where it cannot be read."""
    with suppress(NotPortable):
        value = archive.value("_last_original_obs")
        if isinstance(value, Record) and value.calls("collections.OrderedDict"):
            value = dict(value.pairs)
        found = value if isinstance(value, dict) else {} if value is None else {"": value}
        return {str(key): as_array(rows).shape[1:] for key, rows in found.items()}
    return {}
