"""The pages of the documentation, and how their commands are run: by a shell, in a folder of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
NUMBER = re.compile(r"-?\d[\d.,]*(e[+-]\d+)?")


def blocks(page: str, language: str) -> list[str]:
    """Give the blocks of code of a page that are in a language."""
    text = PAGES[page].read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def languages(page: str) -> set[str]:
    """Name the languages of the blocks of a page; those without one are not for running."""
    fences = re.findall(r"^```(\w*)$", PAGES[page].read_text(encoding="utf-8"), re.MULTILINE)
    return set(fences[::2]) - {""}


def commands(page: str) -> list[str]:
    """Give the commands of a page's shell blocks, without comments; a backslash goes on with a line."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [line.partition(" #")[0].strip() for line in lines if line.strip()]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a sandbox of `conftest`."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": (folder / "endpoint").read_text(),
        "HF_HOME": str(folder / "hf"),
        "HF_TOKEN": (folder / "token").read_text(),
        "HF_HUB_DISABLE_XET": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "agg",
        "SDL_VIDEODRIVER": "dummy",
    }
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def masked(text: str) -> list[str]:
    """Leave out what differs between machines: numbers, how near the recorded outputs are, and blanks."""
    kept = (line for line in text.strip().splitlines() if not line.startswith("recorded "))
    lines = (NUMBER.sub("N", line) for line in kept)
    return [re.sub(r" +", " ", line).rstrip() for line in lines]
