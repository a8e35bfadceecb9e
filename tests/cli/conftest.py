"""The command line, run in this process: starting another one costs eight seconds of imports."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from sb3port.cli.app import main
from sb3port.commands.convert import ConvertOptions, convert

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"
PENDULUM = FIXTURES / "ppo-Pendulum-v1"
CARTPOLE = FIXTURES / "ppo-CartPole-v1"
ZIP = PENDULUM / "ppo-Pendulum-v1.zip"
STATISTICS = PENDULUM / "vec_normalize.pkl"


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    def fails(self, code: int, *texts: str) -> None:
        """Assert that it ended with this exit code and a plain message, and printed no result."""
        assert self.out == ""
        self.refuses(code, *texts)

    def refuses(self, code: int, *texts: str) -> None:
        """Assert that it ended with this exit code and a plain message, whatever it printed before."""
        assert self.code == code, self
        assert "Traceback" not in self.err
        assert self.err.lower().count("error: ") == 1
        for text in texts:
            assert text in self.err

    def succeeds(self) -> None:
        """Assert that it ended well."""
        assert self.code == 0, self.err
        assert "error" not in self.err
        assert "Traceback" not in self.err


Cli: TypeAlias = Callable[..., Result]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Give a function that runs `sb3port` with some arguments."""

    def run(*args: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["sb3port", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else 0, out, err)

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, so that nothing is written elsewhere."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the port of the Pendulum fixture, made once; tests copy it."""
    dest = tmp_path_factory.mktemp("pristine") / "port"
    convert(str(PENDULUM), dest, ConvertOptions(verify=False), lambda *_: None)
    return dest


@pytest.fixture
def port(pristine: Path, here: Path) -> Path:
    """Give a port of the Pendulum fixture that a test may change."""
    return Path(shutil.copytree(pristine, here / "port"))
