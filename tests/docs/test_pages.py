"""Every command of the README and of the pages runs, and prints what is shown."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, commands, languages, masked, run

# Whose shell and Python blocks run here; `export` is in `test_export`, too. All console blocks do.
SHELL = ("porting", "verifying", "running", "training", "export", "sharing", "safety", "bulk")
PYTHON = ("running", "sharing", "training")
# What runs in tests of its own.
ELSEWHERE = {
    ("README", "sh"): "test_pages",
    ("api", "python"): "test_api",
    ("ci", "bash"): "test_ci",
    ("ci", "python"): "test_ci",
    ("ci", "sh"): "test_ci",
    ("ci", "yaml"): "test_ci",
    ("environments", "python"): "test_environments",
    ("environments", "sh"): "test_environments",
    ("export", "python"): "test_export",
    ("finetuning", "sh"): "test_finetuning",
}
# What is no command: outputs of what a page tells in words.
NOT_RUN = {"text"}


def shown() -> dict[str, str]:
    """Give every command that is shown with what it prints; pages agree on that."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page, "console"):
            prompt, expected = block.split("\n", 1)
            assert prompt.startswith("$ ")
            assert found.setdefault(prompt[2:], expected) == expected, f"{page}: {prompt}"
    return found


SHOWN = shown()


def test_every_block_of_every_page_runs_somewhere() -> None:
    here = {("console", page) for page in PAGES} | {("sh", page) for page in SHELL}
    here |= {("python", page) for page in PYTHON} | {(language, page) for page, language in ELSEWHERE}
    found = {(language, page) for page in PAGES for language in languages(page) - NOT_RUN}
    assert found - here == set()
    for (page, _), test in ELSEWHERE.items():
        assert PAGES[page].name in (ROOT / "tests" / "docs" / f"{test}.py").read_text(encoding="utf-8")


def test_the_readme_is_for_newcomers() -> None:
    text = PAGES["README"].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 125
    assert len(blocks("README", "console")) == 3
    assert commands("README") == ["make demo", "make test"]
    linked = re.findall(r"\]\((docs/[\w-]+\.md)", text)
    unlinked = {f"docs/{path.name}" for path in PAGES.values()} - set(linked)
    assert unlinked == {"docs/README.md", "docs/reference.md"}  # itself, and what only the site has


@pytest.mark.long
def test_what_is_shown_is_what_is_printed(sandbox: Path) -> None:
    assert len(SHOWN) >= 5
    for command, expected in SHOWN.items():
        done = run(command, sandbox)
        assert done.returncode == 0, done.stdout
        assert sorted(masked(done.stdout)) == sorted(masked(expected)), done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=pytest.mark.thorough) if p == "export" else p for p in SHELL]
)
def test_other_commands_run(page: str, with_port: Path) -> None:
    for command in commands(page):
        replacing = command.split()[1] in ("convert", "export", "repair")
        done = run(f"{command} --force" if replacing else command, with_port)
        assert done.returncode == 0, done.stdout[-3000:]
        assert "parity" in done.stdout or not replacing
        assert "avg_sum_reward" in done.stdout or not command.startswith("lerobot-eval")
    if page == "sharing":
        assert "repository  " in done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "more"),
    [
        ("running", "assert action.shape == (1, 1) and value.shape == (1,)"),
        ("training", "assert outcome.steps >= 256 and outcome.port.is_dir()"),
        pytest.param(
            "sharing",
            'assert upload.verdict == "bit-exact" and done.changed',
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_python_runs(page: str, more: str, with_port: Path) -> None:
    assert page in PYTHON
    (snippet,) = blocks(page, "python")
    (with_port / "snippet.py").write_text(f"{snippet}\n{more}\n")
    done = run(f"{sys.executable} snippet.py", with_port)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_make_demo(tmp_path: Path) -> None:
    """The demo's commands, without setting up again what this very test runs in."""
    make = ["make", "-n", "demo", "RUN=", f"PORT={tmp_path / 'port'}"]
    script = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.strip() for line in script.stdout.splitlines() if line.strip().startswith("sb3port ")]
    assert [line.split()[1] for line in lines] == ["convert", "eval"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in lines:
        done = subprocess.run(
            line, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "port" / "parity.json").read_text())["verdict"] == "bit-exact"
