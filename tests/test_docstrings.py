"""Every public module, class, function, method and property says what it is, overriding methods too.

Ruff's rules let methods with `@override` go without.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sb3port", "lerobot_policy_ppo/src/lerobot_policy_ppo")


def undocumented(node: ast.AST, name: str) -> Iterator[str]:
    """Give the public names without a docstring from a module or a class on down, but within no function."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(node, documented) and ast.get_docstring(node) is None:
        yield name
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in ast.iter_child_nodes(node):
        own = getattr(child, "name", "") if isinstance(child, documented) else ""
        if not own.startswith("_"):
            yield from undocumented(child, f"{name}.{own}" if own else name)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_have_docstrings(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    trees = {str(p.relative_to(ROOT)): ast.parse(p.read_text(encoding="utf-8")) for p in paths}
    assert [found for path, tree in trees.items() for found in undocumented(tree, path)] == []


def test_undocumented_names_are_found() -> None:
    source = (
        "class A:\n  @property\n  def b(self): ...\n  def _c(self): ...\nif 1:\n  def d():\n    def e(): ..."
    )
    assert [*undocumented(ast.parse(source), "m")] == ["m", "m.A", "m.A.b", "m.d"]
