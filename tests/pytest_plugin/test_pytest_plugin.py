"""The pytest fixture, in runs of pytest of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tomllib
from safetensors.numpy import load_file, save_file

# A run within this process forgets what it imported, and torch cannot be imported twice.
import sb3port.parity.checks.checks  # noqa: F401
from sb3port.commands.convert import ConvertOptions, convert

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
PENDULUM = ROOT / "fixtures/hub/sb3port/ppo-Pendulum-v1"


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the port `right`, and with `wrong`, of which a weight is off."""
    folder = tmp_path_factory.mktemp("ports")
    for name in ("right", "wrong"):
        options = ConvertOptions(verify=False)
        convert(str(PENDULUM), folder / name, options, lambda *_: None)
    tensors = load_file(folder / "wrong/model.safetensors")
    tensors["action_net.weight"][0, 3] += 0.25
    save_file(tensors, folder / "wrong/model.safetensors")
    return folder


def _run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Run a test module; the plugin is named, since an installed one would be found, too."""
    pytester.makepyfile(source)
    chosen = ("-p", "no:sb3port", "-p", "sb3port.cli.pytest_plugin", "-p", "no:cacheprovider")
    return pytester.runpytest_inprocess(*chosen, *arguments)


def test_ports_that_hold(pytester: pytest.Pytester, ports: Path) -> None:
    result = _run(
        pytester,
        f"""
        def test_right(sb3port_parity):
            parity = sb3port_parity({str(ports / "right")!r})
            parity.assert_bit_exact()
            parity.assert_holds()
            assert parity.report["schema"] == "sb3port.parity"

        def test_twice(sb3port_parity):
            for path in ({str(ports / "right")!r}, {str(ports / "wrong")!r}):
                sb3port_parity(path, source={str(PENDULUM)!r})
        """,
        "--sb3port-report-dir",
        "reports",
    )
    result.assert_outcomes(passed=2)
    reports = {path.parent.name: path for path in pytester.path.glob("reports/*/parity.json")}
    verdicts = {name: json.loads(path.read_text())["verdict"] for name, path in reports.items()}
    assert verdicts == {
        "test_ports_that_hold.py-test_right": "bit-exact",
        "test_ports_that_hold.py-test_twice": "bit-exact",
        "test_ports_that_hold.py-test_twice-2": "fail",
    }
    assert len(list(pytester.path.glob("reports/*/parity.html"))) == 3


def test_ports_that_do_not(pytester: pytest.Pytester, ports: Path) -> None:
    np.savez(pytester.path / "mine.npz", observation=np.full((4, 3), np.nan, np.float32))
    result = _run(
        pytester,
        f"""
        def test_wrong(sb3port_parity):
            sb3port_parity({str(ports / "wrong")!r}).assert_holds()

        def test_absent(sb3port_parity):
            sb3port_parity("absent").assert_holds()

        def test_useless(sb3port_parity):
            sb3port_parity({str(ports / "right")!r}, observations="mine.npz")
        """,
    )
    result.assert_outcomes(failed=3)
    shown = result.stdout.str()
    assert "E       AssertionError: wrong is fail, not within the tolerance" in shown
    assert ">       sb3port_parity(" in shown
    assert re.search(r"E +tensors: .*action_net\.weight", shown)
    assert re.search(r"E +[a-z_.]+:[a-z]+: largest difference .* at \[\d+", shown)
    assert re.search(r"E +observation: \[-?\d", shown)
    assert "absent is neither a file or folder" in shown
    assert "a Hub repository is named like sb3/ppo-Pendulum-v1" in shown
    assert "mine.npz" in shown
    assert "pytest_plugin.py" not in shown
    assert "sb3port/commands/verify" not in shown


def test_the_option_is_explained(pytester: pytest.Pytester) -> None:
    result = _run(pytester, "", "--help")
    result.stdout.fnmatch_lines(["*--sb3port-report-dir=DIR"])
    assert _run(pytester, "", "--fixtures").stdout.str().count("sb3port_parity") == 1


def test_loading_the_plugin_costs_nothing() -> None:
    code = (
        "import pytest, sys, time\n"
        "before, start = set(sys.modules), time.perf_counter()\n"
        "import sb3port.cli.pytest_plugin\n"
        "spent = time.perf_counter() - start\n"
        "print(spent, *sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    spent, *modules = done.stdout.split()
    assert {name for name in modules if "." not in name} <= {"sb3port", *sys.stdlib_module_names}
    assert float(spent) < 0.2


def test_pytest_finds_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"sb3port": "sb3port.cli.pytest_plugin"}
