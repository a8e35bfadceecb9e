"""Changes of bytes, of JSON-like values and of lines of text; every one is a function of the generator."""

import copy
import json
from random import Random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**60, 2**63 - 1, 2**63, 2**64),
    *(-(2**63), -(2**63) - 1, 10**30, 10**290, 10**400, True, False, None),
    *(0.5, 0.0, -0.0, 1.0, 1e-8, 1e-300, 5e-324, 1e308, float("inf"), float("-inf"), float("nan")),
)
TEXTS = (
    *(
        "",
        " ",
        "a" * 300,
        "x" * 20_000,
        "\x00",
        "\x1b[31m",
        "\ud800",
        "\u202e",
        "é" * 10,
        "a\nb",
        "\r",
        "\u2028",
    ),
    *("../../x", "/etc/passwd", "~root", "[/]", "<script>", "{{x}}", "%s", "0x" + "f" * 5000, "9" * 5000),
    *("nan", "inf", "1e999", "auto", "lin_3e-4", "lin_nan", "lin_1e999", "dict(a=1)"),
    *("dict(a=__import__('os'))", "os.system", "torch.nn.ReLU", "ReLU", "Tanh", "Pendulum-v1", "m:Env-v0"),
    *(
        "observation.state",
        "Box",
        "Dict",
        "Discrete",
        "MultiBinary",
        "float32",
        "O",
        "V8",
        "<f8",
        ">f4",
        "uint8",
    ),
    *(
        "ppo",
        "ppo_lstm",
        "a2c",
        "MlpPolicy",
        "sb3port_vec_normalize",
        "FlattenExtractor",
        "NatureCNN",
        "a.b:C",
    ),
)


def nasty(rng: Random) -> Any:
    """Give a value that an honest file does not have there."""
    chance = rng.random()
    if chance < 0.5:
        return rng.choice(NUMBERS)
    if chance < 0.82:
        return rng.choice(TEXTS)
    if chance < 0.94:
        return rng.choice(([], {}))
    if chance < 0.97:
        return [nasty(rng) for _ in range(rng.randrange(1, 6))]
    return {str(rng.choice(TEXTS)): nasty(rng)}


def near(value: Any, rng: Random) -> Any:
    """Give a value of the same type that is a little or very different."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice(
            (value + 1, value - 1, -value, value * 2, value << 40, value ^ 1 << rng.randrange(64))
        )
    if isinstance(value, float):
        special = (float("nan"), float("inf"), -float("inf"), -0.0, 1e308, 5e-324)
        return rng.choice((-value, value * 2, value * 1e300, value / 3, *special))
    if isinstance(value, str):
        return rng.choice(
            (value[:-1], value + "x", value.upper(), value * 2, value[::-1], str(rng.choice(TEXTS)))
        )
    if isinstance(value, bytes | bytearray):
        return changed_bytes(bytes(value), rng)
    return nasty(rng)


def changed_bytes(raw: bytes, rng: Random) -> bytes:
    """Change, drop, double or move a few bytes."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        _change_piece(data, rng)
    return bytes(data)


def _change_piece(data: bytearray, rng: Random) -> None:
    at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 1, 2, 4, 8, 32))
    piece, other = bytes(data[at : at + length]), rng.randrange(len(data) + 1)
    changes = (
        rng.randbytes(length),
        b"",
        piece * rng.choice((2, 3, 50)),
        rng.randbytes(length) + piece,
        rng.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * length,
        bytes(data[other : other + length]),
    )
    if rng.random() < 0.05:
        del data[at:]
    else:
        data[at : at + length] = rng.choice(changes)


def changed_tree(value: Any, rng: Random, depth: int = 0) -> Any:
    """Change one node of JSON-like data, seldom its root."""
    if isinstance(value, dict) and value and (depth == 0 or rng.random() < 0.95):
        return _changed_dict(value, rng, depth)
    if isinstance(value, list) and value and (depth == 0 or rng.random() < 0.95):
        return _changed_list(value, rng, depth)
    return near(value, rng) if rng.random() < 0.4 else nasty(rng)


def _changed_dict(value: dict[str, Any], rng: Random, depth: int) -> dict[str, Any]:
    changed, key, chance = dict(value), rng.choice(list(value)), rng.random()
    other = rng.choice(list(value))
    if chance < 0.65 and depth < 8:
        changed[key] = changed_tree(changed[key], rng, depth + 1)
    elif chance < 0.8:
        changed[key] = nasty(rng)
    elif chance < 0.87:
        del changed[key]
    elif chance < 0.92:
        changed[str(rng.choice(TEXTS))] = changed.pop(key)
    elif chance < 0.96:
        changed[key], changed[other] = changed[other], changed[key]
    else:
        changed[str(rng.choice(TEXTS))] = nasty(rng)
    return changed


def _changed_list(value: list[Any], rng: Random, depth: int) -> list[Any]:
    changed, at, chance = list(value), rng.randrange(len(value)), rng.random()
    if chance < 0.6 and depth < 8:
        changed[at] = changed_tree(changed[at], rng, depth + 1)
    elif chance < 0.75:
        changed[at] = nasty(rng)
    elif chance < 0.85:
        del changed[at]
    else:
        changed.insert(at, copy.deepcopy(changed[at]) if chance < 0.92 else nasty(rng))
    return changed


def changed_json(raw: bytes, rng: Random) -> bytes:
    """Change one or two values in a JSON file, sometimes its bytes."""
    try:
        value = json.loads(raw)
    except ValueError:
        return changed_bytes(raw, rng)
    if rng.random() < 0.08:
        return changed_bytes(raw, rng)
    for _ in range(rng.choice((1, 1, 1, 2))):
        value = changed_tree(value, rng)
    return json.dumps(value).encode()


_YAML = (
    *("&a", "*a", "!!python/tuple", "!!python/object/apply:os.system ['id']", "!!python/name:torch.nn.ReLU"),
    *(
        "!!set {a}",
        "!!binary aGk=",
        "!!omap",
        "<<: *a",
        "? [a]",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "|",
        ">",
        "---",
        "...",
    ),
    *("%YAML 1.1", "\t", "#", "'", '"', "1:1:1", "0x" + "f" * 40, ".inf", ".nan", "~", "2020-01-01", "a: b"),
    *("env_wrapper: [a.b.C]", "env_wrapper: gym.wrappers.TimeLimit", "frame_stack: 4", "n_timesteps: .inf"),
    *('normalize: "dict(norm_obs=False)"', 'policy_kwargs: "dict(net_arch=[1], activation_fn=nn.ReLU)"'),
    *('env_kwargs: "dict(a=(1,2))"', "learning_rate: lin_3e-4", "gamma: .nan", "clip_range: 1e999"),
    *(
        "normalize: {clip_obs: .inf, gamma: 1e400}",
        "env_kwargs: {a: .nan}",
        "n_envs: 1e18",
        "ent_coef: '-inf'",
    ),
)


def changed_yaml(raw: bytes, rng: Random) -> bytes:
    """Change a few lines of a YAML file, or of Markdown with YAML at its beginning."""
    lines = raw.decode(errors="replace").split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change_line(lines, rng)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _change_line(lines: list[str], rng: Random) -> None:
    at, chance = rng.randrange(len(lines)), rng.random()
    head = lines[at].partition(": ")[0]
    if chance < 0.3:
        lines.insert(at, rng.choice(_YAML))
    elif chance < 0.5:
        lines[at] += f" {rng.choice(_YAML)}"
    elif chance < 0.65:
        lines[at] = f"{head}: {json.dumps(nasty(rng))}"
    elif chance < 0.75 and len(lines) > 1:
        del lines[at]
    elif chance < 0.85:
        lines[at:at] = [lines[at]] * 3
    elif chance < 0.92:
        lines[at] = f"  {lines[at]}"
    else:
        lines[at] = changed_bytes(lines[at].encode(errors="replace"), rng).decode("latin1")
