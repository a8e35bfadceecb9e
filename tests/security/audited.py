"""Converts checkpoints under an audit hook and prints, as JSON, what Python did meanwhile.

python audited.py [--verify] FOLDER_OF_FAKES DEST SOURCE...
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

WATCHED = (
    "pickle.find_class",
    "exec",
    "compile",
    "import",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
)
events: list[tuple[str, str, bool]] = []
watching = True


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not watching or event not in WATCHED or (event == "compile" and _only_parses()):
        return
    frame, ours = sys._getframe(), False
    while frame is not None:
        ours = ours or "/sb3port/readers/" in frame.f_code.co_filename
        frame = frame.f_back  # type: ignore[assignment]
    detail = ".".join(map(str, args)) if event == "pickle.find_class" else str(args[0] if args else "")
    events.append((event, detail[:300], ours))


def _only_parses() -> bool:
    """Whether `ast.parse` asks, which makes a tree and no code; running it would be an `exec`."""
    return sys._getframe(2).f_code is ast.parse.__code__


def _convert(source: str, dest: Path, verify: bool) -> None:
    from sb3port.commands.convert import ConvertOptions, convert

    convert(source, dest, ConvertOptions(verify=verify), lambda *_: None)


def _main() -> None:
    global watching, events  # noqa: PLW0603
    verify = "--verify" in sys.argv
    fakes, dest, *sources = [arg for arg in sys.argv[1:] if arg != "--verify"]
    if not verify:
        sys.path.insert(0, fakes)
    sys.addaudithook(_hook)
    before = set(sys.modules)
    _convert(sources[0], Path(dest) / "first", verify)
    first, events = events, []
    if not verify:
        for index, source in enumerate(sources):
            _convert(source, Path(dest) / str(index), verify=False)
    watching = False
    modules = sorted(set(sys.modules) - before)
    sys.stdout.write(json.dumps({"first": first, "again": events, "modules": modules}) + "\n")


_main()
