"""How reports look on a terminal: what is bit-exact is folded, the limit and the file are named."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from sb3port.cli.output import Output
from sb3port.cli.parity_text import print_index, print_report
from sb3port.commands.verify import VerifyOptions, verify
from sb3port.files.texts.terminal import terminal
from sb3port.parity.checks.progress import heard_by
from sb3port.reports.json_text import Report
from tests.reports import examples


def printed(capsys: pytest.CaptureFixture[str], report: Report, verbose: bool = False) -> str:
    capsys.readouterr()
    print_report(Output(verbose=verbose), report, "", True)
    return capsys.readouterr().out


def cells(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if f"  {name}  " in line]
    return line.split()


def test_the_limit_that_failed_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, examples.explained())
    assert text.splitlines()[0].split() == [
        *("against", "what", "verdict", "max", "diff", "limit", "ULP"),
    ]
    assert cells(text, "value") == ["SB3", "here", "value", "fail", "0.31", "6.5e-6", "2.6e6"]


def test_the_cause_is_the_first_line_after_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, examples.explained()).splitlines()
    verdict = lines.index("verdict       fail")
    assert lines[verdict + 1] == "cause         activation_fn: Tanh in the source, ReLU in the port"
    assert lines[verdict + 2] == "              config.json: changed since the conversion"
    assert lines[verdict + 3].startswith("worst         tensors: 1 of 13 tensors differs")
    assert "cause" not in printed(capsys, examples.failing())


def test_what_is_bit_exact_is_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, examples.explained())
    assert text.count("bit-exact") == 2  # of the file, and of SB3 here
    assert "SB3 here  normalized observation, mode, log prob, action  bit-exact" in text
    assert printed(capsys, examples.explained(), verbose=True).count("bit-exact") > 8


def test_the_file_that_changed_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    report = examples.explained()
    report["checks"][0] = examples.blank(
        "integrity.files", "fail", "changed since the conversion: config.json"
    )
    assert "integrity files: config.json " in printed(capsys, report)


def test_hundreds_of_outputs_are_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [examples.output_check(f"normaliser.{'key' * 30}_{n}:drawn", 0.0, 1) for n in range(600)]
    checks[400] = examples.output_check("normaliser.key_400:drawn", 0.5, 1)
    text = printed(capsys, examples.report("fail", checks))
    assert len(text.splitlines()) < 40
    assert "and 587 more" in text
    assert cells(text, "key 400")[3:] == ["400", "fail", "0.5", "6.5e-6", "4.2e6"]


def test_nothing_is_wider_than_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with names that are far longer."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    report = examples.explained()
    report["port"]["name"] = "a-port-of-a-very-long-name-" * 5
    report["checks"][3]["output"] = "an_output_of_a_very_long_name_" * 5
    print_report(Output(), report, "", True)
    print_index(Output(), [report, examples.good()], {})
    text = re.sub(r"\x1b\[[012]m", "", screen.getvalue())  # bold and dim are no colours
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_spinner_tells_stages_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    output = Output()
    console = Console(file=screen, force_terminal=True, width=40)
    monkeypatch.setitem(vars(output), "_stderr", console)
    with output.working(terminal("loading SB3")) as show:
        console._live_stack[0].refresh()
        show(terminal("comparing outputs on {}", "many observations " * 9))
        console._live_stack[0].refresh()
    text = screen.getvalue()
    assert "loading SB3" in text
    assert "comparing outputs" in text
    assert "…" in text  # cut where the line ends


def test_what_verify_is_doing(pristine: Path) -> None:
    told: list[str] = []
    with heard_by(told.append):
        verify(pristine, options=VerifyOptions(reload=False))
    assert [line.partition(" ")[0] for line in told[:2]] == ["reading", "loading"]
    assert told[2:] == [
        "comparing the names of tensors",
        "comparing tensors",
        "building SB3's policy and the port",
        "comparing outputs on 256 recorded (reference.npz)",
        "comparing outputs on 527 edge cases",
        "waiting for another process to load the port with LeRobot",
    ]
