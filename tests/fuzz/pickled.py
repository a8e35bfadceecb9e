"""Changes of pickles: of their opcodes, and of the values that they stand for, written anew."""

import pickletools
import struct
from collections.abc import Collection
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from sb3port.errors import Sb3portError
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.formats.records import Global, PersistentId, Record

from .values import changed_bytes, nasty, near

_PIECES = (
    *(
        b"N",
        b"(",
        b")",
        b"]",
        b"}",
        b"\x8f",
        b"0",
        b"1",
        b"2",
        b"t",
        b"l",
        b"d",
        b"\x85",
        b"\x86",
        b"\x87",
        b"a",
    ),
    *(
        b"e",
        b"s",
        b"u",
        b"\x90",
        b"\x91",
        b"R",
        b"\x81",
        b"\x92",
        b"b",
        b"o",
        b"\x94",
        b"\x93",
        b"Q",
        b"h\x00",
    ),
    *(
        b"h\x01",
        b"h\x05",
        b"q\x00",
        b"r\xff\xff\xff\x7f",
        b"\x88",
        b"\x89",
        b"\x97",
        b"\x98",
        b"\x82\x01",
        b"P1\n",
    ),
    *(
        b"ios\nsystem\n",
        b"cos\nsystem\n",
        b"cbuiltins\nset\n",
        b"ccollections\nOrderedDict\n",
        b"cnumpy\ndtype\n",
    ),
    *(
        b"cnumpy\nndarray\n",
        b"cnumpy._core.multiarray\nscalar\n",
        b"ctorch\nFloatStorage\n",
        b"\x80\x05",
        b".",
    ),
    *(
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"L" + b"9" * 5000 + b"L\n",
    ),
)
_GLOBALS = (
    *(
        "os.system",
        "builtins.set",
        "builtins.frozenset",
        "builtins.bytearray",
        "builtins.slice",
        "numpy.dtype",
    ),
    *("numpy.ndarray", "numpy.float32", "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct"),
    *("numpy._core.numeric._frombuffer", "collections.OrderedDict", "collections.deque", "_codecs.encode"),
    *(
        "torch.FloatStorage",
        "torch.DoubleStorage",
        "torch._utils._rebuild_tensor_v2",
        "torch.nn.modules.activation.ReLU",
    ),
    *(
        "gymnasium.spaces.box.Box",
        "gymnasium.spaces.dict.Dict",
        "gymnasium.spaces.discrete.Discrete",
        "x.Own",
    ),
    *("stable_baselines3.common.running_mean_std.RunningMeanStd", "torch.optim.rmsprop.RMSprop"),
    *("stable_baselines3.common.policies.ActorCriticPolicy", "stable_baselines3.common.utils.LinearSchedule"),
)
_MAX_DEPTH = 60


def changed_pickle(raw: bytes, rng: Random) -> bytes:
    """Change a pickle in one of three ways."""
    chance = rng.random()
    if chance < 0.5 and (changed := _rewritten(raw, rng)) is not None:
        return changed
    return _changed_opcodes(raw, rng) if chance < 0.93 else changed_bytes(raw, rng)


_LITERALS = ("INT", "LONG", "FLOAT", "UNICODE", "STRING", "BYTES", "NEWTRUE", "NEWFALSE", "NONE")


class _Chunks(NamedTuple):
    """A pickle in pieces: the bytes and the argument of each opcode, and which push a plain value."""

    parts: list[bytes]
    args: list[Any]
    literals: list[int]


@lru_cache(maxsize=4096)
def _chunks(raw: bytes) -> _Chunks:
    found = list(pickletools.genops(raw))
    ends = [*(at or 0 for *_, at in found[1:]), len(raw)]
    parts = [raw[at:end] for (_, _, at), end in zip(found, ends, strict=True)]
    literals = [i for i, (op, *_) in enumerate(found) if any(part in op.name for part in _LITERALS)]
    return _Chunks(parts, [arg for _, arg, _ in found], literals or [0])


def _changed_opcodes(raw: bytes, rng: Random) -> bytes:
    try:
        chunks = _chunks(raw)
    except Exception:  # what was changed before is no pickle any more
        return changed_bytes(raw, rng)
    parts = list(chunks.parts)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _change_opcode(parts, chunks, rng)
    return b"".join(parts)


def _change_opcode(parts: list[bytes], chunks: _Chunks, rng: Random) -> None:
    at, other, chance = rng.randrange(len(parts)), rng.randrange(len(parts)), rng.random()
    if chance < 0.35:
        at = min(rng.choice(chunks.literals), len(parts) - 1)
        parts[at] = emitted(near(chunks.args[at], rng) if rng.random() < 0.6 else nasty(rng))
    elif chance < 0.48 and len(parts) > 1:
        del parts[at]
    elif chance < 0.58:
        parts[at:at] = [parts[at]] * rng.choice((1, 1, 2, 60))
    elif chance < 0.72:
        parts.insert(at, rng.choice(_PIECES))
    elif chance < 0.8:
        parts[at] = rng.choice(_PIECES)
    elif chance < 0.88:
        parts[at], parts[other] = parts[other], parts[at]
    elif chance < 0.95:
        parts[at:at] = parts[other : other + rng.randrange(1, 30)]
    else:
        parts[at] = changed_bytes(parts[at], rng)


@lru_cache(maxsize=4096)
def _value(raw: bytes) -> tuple[Any, int] | None:
    """Read a pickle, and count the nodes of what it stands for; None where that cannot be read."""
    try:
        value = read_pickle(raw, "it").value
        counting = _Writer(Random(0), frozenset())
        counting.write(value)
    except (Sb3portError, RecursionError):
        return None
    return value, counting.nodes


def _rewritten(raw: bytes, rng: Random) -> bytes | None:
    found = _value(raw)
    if found is None:
        return None
    value, nodes = found
    chosen = frozenset(rng.randrange(nodes) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    writer = _Writer(rng, chosen)
    return b"\x80\x04" + writer.write(value) + b"."


def lean(raw: bytes, keys: int = 3, without: Collection[str] = ()) -> bytes:
    """Write a pickle with fewer keys of what it builds, and without some attributes."""
    value = read_pickle(raw, "it").value
    if isinstance(value, Record):
        value.pairs = value.pairs[:keys]
        for state in value.states:
            for key in [key for key in state if key in without] if isinstance(state, dict) else ():
                del state[key]
    return b"\x80\x04" + _Writer(Random(0), frozenset()).write(value) + b"."


class _Writer:
    """Writes what a symbolic reader gave as a pickle again, with some of its nodes changed."""

    def __init__(self, rng: Random, chosen: frozenset[int]) -> None:
        self.rng, self.chosen = rng, chosen
        self.nodes = self.depth = 0
        self.seen: list[Any] = []

    def write(self, value: Any) -> bytes:
        if self.nodes in self.chosen:
            value = self._changed(value)
        elif self.chosen:
            self.seen.append(value)
        self.nodes += 1
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise RecursionError
        raw = self._node(value)
        self.depth -= 1
        return raw

    def _changed(self, value: Any) -> Any:
        rng, chance = self.rng, self.rng.random()
        if chance < 0.2 and self.seen:
            return rng.choice(self.seen)
        if isinstance(value, Record):
            return self._changed_record(value)
        if isinstance(value, Global) and chance < 0.9:
            return Global(*rng.choice(_GLOBALS).rpartition(".")[::2])
        if isinstance(value, tuple | list) and chance < 0.9:
            return type(value)(_changed_items(list(value), rng))
        if isinstance(value, dict) and value and chance < 0.9:
            return dict(_changed_items(list(value.items()), rng))
        return near(value, rng) if chance < 0.8 else nasty(rng)

    def _changed_record(self, record: Record) -> Any:
        rng = self.rng
        changed = Record(
            record.target,
            record.args,
            record.kwargs,
            list(record.states),
            list(record.items),
            list(record.pairs),
        )
        match rng.randrange(6):
            case 0:
                changed.target = Global(*rng.choice(_GLOBALS).rpartition(".")[::2])
            case 1:
                changed.args = tuple(_changed_items(list(record.args), rng))
            case 2:
                changed.states = _changed_items(changed.states, rng)
            case 3:
                changed.pairs = [(nasty_key(rng), nasty(rng)), *changed.pairs]
            case 4:
                changed.items = [*changed.items, nasty(rng)]
            case _:
                return rng.choice((record.args, record.target, nasty(rng)))
        return changed

    def _node(self, value: Any) -> bytes:  # noqa: PLR0911 (one for each kind)
        if isinstance(value, Record):
            return self._record(value)
        if isinstance(value, Global):
            return emitted(value.module) + emitted(value.name) + b"\x93"
        if isinstance(value, PersistentId):
            return self.write(value.value) + b"Q"
        if isinstance(value, tuple):
            return b"(" + self._all(value) + b"t"
        if isinstance(value, list):
            return b"](" + self._all(value) + b"e"
        if isinstance(value, set | frozenset):
            return b"(" + self._all(value) + b"\x91"
        if isinstance(value, dict):
            return b"}(" + self._pairs(value.items()) + b"u"
        return emitted(value)

    def _all(self, values: Any) -> bytes:
        return b"".join([self.write(value) for value in values])

    def _pairs(self, pairs: Any) -> bytes:
        return b"".join([self.write(key) + self.write(value) for key, value in pairs])

    def _record(self, record: Record) -> bytes:
        call = self.write(record.target) + b"(" + self._all(record.args) + b"t"
        parts = [call + (self.write(record.kwargs) + b"\x92" if record.kwargs else b"R")]
        if record.items:
            parts.append(b"(" + self._all(record.items) + b"e")
        if record.pairs:
            parts.append(b"(" + self._pairs(record.pairs) + b"u")
        parts.extend(self.write(state) + b"b" for state in record.states)
        return b"".join(parts)


def nasty_key(rng: Random) -> Any:
    """Give what may stand for a key."""
    return rng.choice(("shape", "_shape", "n", "low", "spaces", "count", "", 0, 2**70, ("a", 1), None, 1.5))


def _changed_items(items: list[Any], rng: Random) -> list[Any]:
    at = rng.randrange(len(items) + 1)
    return rng.choice(
        (items[:at], items[at:], [*items, *items[at:]], items[::-1], items[:at] + items[at + 1 :])
    )


def emitted(value: Any) -> bytes:
    """Give opcodes that push a plain value; an empty container for one that is not."""
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return (
            b"\x8a" + bytes([len(raw)]) + raw
            if len(raw) < 256
            else b"\x8b" + struct.pack("<i", len(raw)) + raw
        )
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(raw)) + raw
    if isinstance(value, bytes | bytearray):
        return b"B" + struct.pack("<I", len(value)) + bytes(value)
    return b"}" if isinstance(value, dict) else b"]" if isinstance(value, list) else b")"
