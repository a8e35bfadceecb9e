"""A pytest fixture that holds ports to parity: `sb3port_parity("ports/x").assert_bit_exact()`.

pytest loads this module at every start, so it imports nothing that takes time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from sb3port.errors import Sb3portError
    from sb3port.files.texts.terminal import TerminalText

_LONGEST = 150  # characters of a test's name, the last ones
_OPTION = "--sb3port-report-dir"


@dataclass(frozen=True)
class Parity:
    """What came of comparing a port with its source.

    Args:
        report: The parity report as JSON values, see `sb3port/reports/parity.schema.json`.
    """

    report: Mapping[str, Any]

    def assert_bit_exact(self) -> None:
        """Demand the same bits as SB3's own classes give in this process."""
        __tracebackhide__ = True
        self._demand("bit-exact", ("bit-exact",))

    def assert_holds(self) -> None:
        """Demand that no difference is larger than the noise of float32."""
        __tracebackhide__ = True
        self._demand("within the tolerance", ("bit-exact", "within noise", "within atol"))

    def _demand(self, wanted: str, verdicts: tuple[str, ...]) -> None:
        __tracebackhide__ = True
        if self.report["verdict"] not in verdicts:
            raise AssertionError(_explain(self.report, wanted).plain)


Compare: TypeAlias = Callable[..., Parity]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's option."""
    group = parser.getgroup("sb3port")
    group.addoption(_OPTION, metavar="DIR", help="write parity reports there, a folder for each comparison")


@pytest.fixture
def sb3port_parity(request: pytest.FixtureRequest) -> Compare:
    """Give a function that compares a port with its source, as `sb3port verify` does.

    Its arguments: `port`, a folder; `source`, any SOURCE, by default the one that the port records;
    `observations`, an `.npz` with recorded ones; and `reload`, whether to load the port in a process of its
    own, too, which takes some seconds. Its result has `assert_bit_exact()`, `assert_holds()` and `report`.
    """
    folder = request.config.getoption(_OPTION)
    made = 0

    def compare(
        port: str | Path,
        source: str | Path | None = None,
        observations: str | Path | None = None,
        reload: bool = False,
    ) -> Parity:
        __tracebackhide__ = True
        nonlocal made
        made += 1
        report = _verify(Path(port), source, observations, reload)
        if folder is not None:
            _write(report, Path(folder) / _folder_name(request.node.nodeid, made))
        return Parity(report)

    return compare


def _verify(
    port: Path, source: str | Path | None, observations: str | Path | None, reload: bool
) -> Mapping[str, Any]:
    __tracebackhide__ = True
    from sb3port.commands.verify import VerifyOptions, verify
    from sb3port.errors import Sb3portError
    from sb3port.reports.json_text import canonical

    label = None if source is None else str(source)
    files = () if observations is None else (str(observations),)
    try:
        return canonical(verify(port, label, VerifyOptions(files, reload=reload)).to_json())
    except Sb3portError as error:
        problem = _sentence(error)
    pytest.fail(problem.plain)


def _sentence(error: "Sb3portError") -> "TerminalText":
    from sb3port.files.texts.terminal import shown, terminal

    return terminal("{}\n{}", error.message, error.hint) if error.hint else shown(error.message)


def _write(report: Mapping[str, Any], folder: Path) -> None:
    from sb3port.reports.files import FILES, render_folder, write_files

    write_files(folder, render_folder([report], list(FILES)))


def _folder_name(test: str, count: int) -> str:
    """Name a comparison after its test; further ones in the same test are numbered."""
    from sb3port.files.texts.names import file_name

    name = file_name(test[-_LONGEST:], "test", hyphens=True).text
    return name if count == 1 else f"{name}-{count}"


def _explain(report: Mapping[str, Any], wanted: str) -> "TerminalText":
    """Say what was demanded, what came of it, why, and the worst case."""
    from sb3port.files.texts.terminal import terminal, together
    from sb3port.reports import words

    lines: list[object] = [
        terminal("{} is {}, not {}", words.model_name(report), report["verdict"], wanted),
        *words.cause_texts(report),
        words.headline(report),
        words.counts_text(report),
    ]
    for check in words.worst_checks(report):
        lines.append(terminal("{}: {}", check["id"], words.describe(check)))
        for key, values in words.observation_of(check).items():
            lines.append(terminal("observation{}: {}", f" {key}" if key else "", values))
    return together("\n", lines)
