"""The recipes of docs/finetuning.md run, and print what is shown; in one process, for its imports."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from sb3port.ports.finding import BEST, CHECKPOINTS
from tests.docs.pages import PAGES, blocks, commands, masked, run

PAGE = PAGES["finetuning"].read_text(encoding="utf-8")
_PAIR = re.compile(r"^```sh\n(?:.+\n)*?(.+)\n```\n\n```text\n((?:.*\n)*?)```$", re.MULTILINE)
SHOWN = dict(_PAIR.findall(PAGE))
DRIVER = """
import json, sys
from sb3port.cli.app import main

for number, words in enumerate(json.loads(sys.argv[1])):
    print(f"@{number}", flush=True)
    sys.argv = words
    try:
        main()
    except SystemExit as end:
        print(f"@code {end.code or 0}", flush=True)
"""


def outputs(folder: Path) -> dict[str, str]:
    """Give what each command of the page prints."""
    (folder / "driver.py").write_text(DRIVER)
    listed = [shlex.split(command) for command in commands("finetuning")]
    done = run(shlex.join([sys.executable, "-u", "driver.py", json.dumps(listed)]), folder)
    assert done.returncode == 0, done.stdout[-3000:]
    found = re.split(r"^@\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(commands("finetuning"), found, strict=True))


@pytest.mark.long
def test_the_recipes(sandbox: Path) -> None:
    assert len(SHOWN) == len(blocks("finetuning", "text")) == 5
    for command, printed in outputs(sandbox).items():
        text, code = printed.rsplit("@code ", 1)
        assert int(code) == 0, (command, text)
        if command in SHOWN:
            assert sorted(masked(text)) == sorted(masked(SHOWN[command])), text
    rows = (sandbox / "runs" / "near" / "progress.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["train/reference_kl"] > 0
    best = {name: (sandbox / "runs" / name / CHECKPOINTS / BEST).resolve() for name in ("gravity", "shown")}
    assert all(checkpoint.is_dir() for checkpoint in best.values())


def test_the_wrapper_refuses_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium

    monkeypatch.syspath_prepend(str(PAGES["finetuning"].parent))
    from dynamics import Dynamics  # type: ignore[import-not-found]

    pole = Dynamics(gymnasium.make("CartPole-v1"), length=1.0).unwrapped
    assert pole.polemass_length == pole.masspole * 1.0
    with pytest.raises(ValueError, match="CartPoleEnv has no wings"):
        Dynamics(gymnasium.make("CartPole-v1"), wings=2.0)
