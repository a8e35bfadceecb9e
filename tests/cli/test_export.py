"""`export` and `repair`: what they write and print, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

from .conftest import CARTPOLE, ZIP, Cli


def test_export_says_what_it_wrote(cli: Cli, port: Path) -> None:
    result = cli("export", port, "out/deep", "--outputs", "action,value", "--to", "numpy")
    result.succeeds()
    assert "files         ppo_Pendulum_v1.npz, ppo_Pendulum_v1.py\n" in result.out
    assert "parity        within noise" in result.out
    assert 'hint: load it with: runpy.run_path("out/deep/ppo_Pendulum_v1.py")["load"]()' in result.err
    report = json.loads(Path("out/deep/parity.json").read_text())
    assert report["verdict"] == "within noise"
    assert list(report["port"]["files"]) == ["ppo_Pendulum_v1.npz", "ppo_Pendulum_v1.py"]
    assert {summary["set"] for summary in report["observations"]} == {"drawn", "edge"}
    cli("report", "out/deep/parity.json").succeeds()


def test_repair_says_how_to_load_it(cli: Cli) -> None:
    result = cli("repair", ZIP, "out", "--no-verify", "--json")
    result.succeeds()
    content = json.loads(result.out)
    assert (content["schema"], content["export"], content["verdict"]) == ("sb3port.repair", "out", None)
    assert content["files"] == ["args.yml", "config.yml", "ppo-Pendulum-v1.zip", "vec_normalize.pkl"]
    again = cli("repair", CARTPOLE, "other", "--no-verify")
    again.succeeds()
    assert 'hint: load it with: PPO.load("other/ppo-CartPole-v1.zip")' in again.err
    assert PPO.load("other/ppo-CartPole-v1.zip", device="cpu").num_timesteps > 0


def test_default_name_says_the_format(cli: Cli, port: Path) -> None:
    result = cli("export", port, "--to", "sb3", "--no-verify", "--quiet")
    assert result.out == "exports/ppo-Pendulum-v1-sb3\n"
    again = cli("export", port, "--to", "sb3", "--no-verify")
    again.fails(2, "exists", "--force")
    cli("export", port, "--to", "sb3", "--no-verify", "--force").succeeds()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--to", "sb3", "--raw"), 2, "are for onnx, torch and numpy"),
        (("--to", "onnx", "--learning-rate", "1e-3"), 2, "are for --to sb3"),
        (("--to", "onnx", "--outputs", "speed"), 2, "'speed' names no outputs"),
        (("--to", "onnx", "--outputs", ""), 2, "names no outputs"),
        (("--to", "numpy", "--outputs", "log_prob"), 2, "leave log_prob out"),
        (("--to", "sb3", "--clip-range-vf", "0.1"), 2, "has no clip_range_vf"),
        (("--to", "sb3", "--no-verify", "--report-dir", "reports"), 2, "drop one of the two"),
        (("--to", "sb3", "--observations", "nowhere.npz"), 2, "nowhere.npz"),
        (("--to", "tflite"), 2, "tflite"),
    ],
)
def test_arguments_that_make_no_sense(
    cli: Cli, port: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    cli("export", port, "out", *arguments).fails(code, text)
    assert [path.name for path in Path().iterdir()] == ["port"]


def test_what_is_no_port(cli: Cli, port: Path) -> None:
    cli("export", "nowhere", "out").fails(2, "nowhere is neither a file or folder")
    cli("export", "port/training_state", "out").fails(4, "holds no SB3 checkpoint")
    cli("repair", port, "out").fails(2, "is a port", "sb3port export")
    (port / "config.json").write_text((port / "config.json").read_text().replace("Tanh", "ReLU"))
    cli("export", port, "out").fails(4, "changed since the conversion: config.json")


def test_names_that_a_port_claims_stay_in_its_folder(cli: Cli, port: Path) -> None:
    content = json.loads((port / "sb3port.json").read_text())
    content["source"]["location"] = "/tmp/..\\\0evil:name"
    (port / "sb3port.json").write_text(json.dumps(content))
    cli("export", port, "out", "--to", "numpy", "--no-verify").succeeds()
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "__evil_name.npz",
        "__evil_name.py",
        "export.json",
    ]


def test_failed_comparison_writes_only_its_report(
    cli: Cli, port: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sb3port.exports import numpy_arrays

    def shifted(path: Path) -> Any:
        run = load(path)
        return lambda feeds: {name: array + np.float32(1e-3) for name, array in run(feeds).items()}

    load = numpy_arrays.load_numpy
    monkeypatch.setattr(numpy_arrays, "load_numpy", shifted)
    result = cli("export", port, "out", "--to", "numpy", "--report-dir", "reports")
    result.fails(1, "does not compute what ppo-Pendulum-v1 computes", "so it is not written")
    assert sorted(path.name for path in Path().iterdir()) == ["port", "reports"]
    assert json.loads(Path("reports/parity.json").read_text())["verdict"] == "fail"
