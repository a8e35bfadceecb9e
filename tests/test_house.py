"""The house: rooms on floors. Every import runs down or stays within a room, imports in functions, too.

CONTRIBUTING.md draws it; this is where it is written down.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sb3port"
# From the ground up; rooms on one floor do not know each other.
FLOORS = (
    ("errors",),
    ("checkpoint", "files"),
    ("families",),
    ("networks", "readers", "reports"),
    ("environments", "ports", "scanning"),
    ("inference",),
    ("parity",),
    ("exports", "ppo"),
    ("commands",),
    ("api", "callbacks", "cli"),
)
# Within some rooms, likewise; "" stands for the files that are in none of them.
ROOMS_WITHIN = {
    "commands": ("publishing", "comparing", "optimizing", "", "bulk"),
    "parity": ("observations", "comparison", "oracle", "checks"),
    "ports": ("card", ""),
    "ppo": ("", "ranks", "rollout", "engines", "tracking", "runs"),
    "readers": ("formats", "places", "meaning"),
}
# The face of the package and its `python -m`, which stand outside.
FACE = ("__init__.py", "__main__.py")


def modules() -> dict[str, Path]:
    """Give every module by its dotted name below the package."""
    found = {path.relative_to(PACKAGE).with_suffix(""): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {".".join(p for p in name.parts if p != "__init__"): path for name, path in found.items()}


MODULES = modules()
NAMES = [name for name, path in MODULES.items() if path.parent != PACKAGE or path.name not in FACE]


def imports(path: Path) -> Iterator[str]:
    """Give the modules of the package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name.partition(".")[2] for a in node.names if a.name.partition(".")[0] == "sb3port")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sb3port":
            module = (node.module or "").partition(".")[2]
            for alias in node.names:
                full = f"{module}.{alias.name}".lstrip(".")
                yield full if full in MODULES else module


def floor(room: str) -> int:
    """Give the floor of a room."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def within(name: str) -> int:
    """Give the floor of a module within its room."""
    room, *rest = name.split(".")
    rooms = ROOMS_WITHIN[room]
    return rooms.index(rest[0] if len(rest) > 1 and rest[0] in rooms else "" if "" in rooms else rest[0])


def test_few_things_stand_at_the_root() -> None:
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 21
    assert sum(path.is_file() for path in entries) <= 8
    rooms = {path.name.removesuffix(".py") for path in entries} - {"__init__", "__main__", "py.typed"}
    assert rooms == {room for rooms in FLOORS for room in rooms}
    assert len(FLOORS) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_arrows_run_down(name: str) -> None:
    room = name.partition(".")[0]
    for other in imports(MODULES[name]):
        there = other.partition(".")[0]
        assert there, f"{name} imports the face of the package"
        assert there == room or floor(there) < floor(room), f"{name} imports {other}"
        # `readers.formats` alone is the folder, which has nothing in it.
        if there == room and room in ROOMS_WITHIN and "." in other and "." in name:
            assert within(other) <= within(name), f"{name} imports {other}"


def test_no_circles() -> None:
    arrows = {name: set(imports(path)) & set(NAMES) - {name} for name, path in MODULES.items()}
    while leaves := [name for name, needed in arrows.items() if not needed]:
        for name in leaves:
            del arrows[name]
        arrows = {name: needed - set(leaves) for name, needed in arrows.items()}
    assert arrows == {}


def roots(node: ast.AST) -> set[str]:
    """Give the packages that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return {a.name.partition(".")[0] for a in node.names} if isinstance(node, ast.Import) else set()


def test_only_three_places_import_lerobot() -> None:
    """What writes LeRobot's datasets, what makes its environments, and the process that loads ports as its
    users do."""
    found = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if roots(node) & {"lerobot", "lerobot_policy_ppo"}
    }
    assert found == {"environments.dataset", "environments.lerobot_environments", "parity.checks.fresh"}


@pytest.mark.parametrize("room", ["checkpoint", "errors", "families", "files", "ports", "readers", "reports"])
def test_the_core_imports_no_framework(room: str) -> None:
    """But for what `build` of an extractor imports when it is called."""
    for name in NAMES:
        if name.partition(".")[0] == room:
            tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
            found = {root for node in tree.body for root in roots(node)}
            assert not found & {"torch", "gymnasium", "lerobot", "stable_baselines3", "sb3_contrib"}, name
