"""`push`, as it is typed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.hub_client import DEAD_ENDPOINT, Client
from tests.hub.loopback import serve
from tests.hub.state import LoopbackHub

from .conftest import PENDULUM, ZIP, Cli

REPO = "loopback/pendulum"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(monkeypatch, tmp_path / "home")


@pytest.fixture
def hub(client: Client, tmp_path: Path) -> Iterator[LoopbackHub]:
    (tmp_path / "repos").mkdir()
    with serve(tmp_path / "repos") as hub:
        client.point_to(hub.endpoint)
        client.log_in(hub.token)
        yield hub


def test_push_says_where_the_port_is(cli: Cli, hub: LoopbackHub, port: Path) -> None:
    result = cli("push", port, REPO)
    result.succeeds()
    assert f"repository  {hub.endpoint}/{REPO}\n" in result.out
    assert f"commit      {hub.endpoint}/{REPO}/commit/" in result.out
    assert "parity      not verified\n" in result.out
    assert "licence     not stated\n" in result.out
    warning, hint = result.err.splitlines()  # and no progress bar of the library's
    assert warning.startswith("warning: there is no parity report")
    assert f"lerobot-eval --policy.path={REPO} --env.type=gymnasium --env.task=Pendulum-v1" in hint
    again = cli("push", port, REPO)
    again.succeeds()
    assert f"commit      none: {REPO} has all of it already\n" in again.out


def test_push_json_and_quiet(cli: Cli, hub: LoopbackHub, port: Path) -> None:
    (port / "notes.txt").touch()
    result = cli("push", port, REPO, "--json", "--private")
    content = json.loads(result.out)
    assert (content["schema"], content["version"], content["changed"]) == ("sb3port.push", 1, True)
    assert content["commit"] == hub.repos[REPO].refs["main"]
    assert {"name": "config.json", "size": (port / "config.json").stat().st_size} in content["files"]
    assert (content["left_out"], content["verdict"], content["licence"]) == (["notes.txt"], None, None)
    assert REPO in hub.private
    (port / "config.json").write_text((port / "config.json").read_text() + "\n")
    quiet = cli("push", port, REPO, "-q", "--create-pr")
    assert quiet.out == f"{hub.endpoint}/{REPO}/discussions/1\n"
    assert quiet.err.count("\n") == 1


def test_what_eval_prints_goes_into_the_card(cli: Cli, client: Client, here: Path, port: Path) -> None:
    (here / "returns.json").write_text(cli("eval", port, "--episodes", 2, "--compare", "--json").out)
    card = json.loads(cli("push", port, REPO, "--returns", "returns.json", "--dry-run", "--json").out)["card"]
    assert "| episodes | 2, seeds 0 to 1, deterministic actions |" in card
    assert "the same return in 2 of these 2 episodes" in card
    assert "model-index:" in card
    (port / "config.json").write_text((port / "config.json").read_text() + "\n")
    refused = cli("push", port, REPO, "--returns", "returns.json", "--dry-run")
    refused.fails(2, "returns.json holds the returns of another port than")


def test_dry_run_asks_nobody(cli: Cli, client: Client, port: Path) -> None:
    client.point_to(DEAD_ENDPOINT)
    result = cli("push", port, REPO, "--dry-run")
    result.succeeds()
    sizes = dict(re.findall(r"^(\S+) +([\d,]+)$", result.out, re.MULTILINE))
    assert sizes["model.safetensors"] == f"{(port / 'model.safetensors').stat().st_size:,}"
    assert len(sizes) == 10
    assert f"repository  {REPO}\n" in result.out
    assert "model card  README.md\n" in result.out
    assert "library_name" not in result.out
    assert "library_name: lerobot\n" in cli("push", port, REPO, "--dry-run", "-v").out
    content = json.loads(cli("push", port, REPO, "--dry-run", "--json").out)
    assert (content["dry_run"], content["commit"], content["repo_id"]) == (True, None, REPO)
    assert f'load_policy("{REPO}")' in content["card"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("port", "pendulum"), 2, "'pendulum' cannot be a repository's name"),
        (("absent", REPO), 2, "absent is neither a file or folder"),
        ((PENDULUM, REPO, "--returns", "absent"), 2, "is a SOURCE, which push verifies and evaluates itself"),
        ((ZIP, REPO, "--env", "Nowhere-v0"), 2, "Nowhere-v0"),
        (("port", REPO, "--env", "Pendulum-v1"), 2, "push evaluates a SOURCE, and not what has been ported"),
        (("port", REPO, "--report-dir", "absent"), 2, "absent/parity.json is not a file"),
        (("port", REPO, "--returns", "absent"), 2, "absent cannot be read"),
    ],
)
def test_what_cannot_be_pushed(
    cli: Cli, client: Client, port: Path, arguments: tuple[object, ...], code: int, words: str
) -> None:
    client.point_to(DEAD_ENDPOINT)
    cli("push", *arguments).fails(code, words)


def test_where_it_cannot_be_pushed(cli: Cli, hub: LoopbackHub, client: Client, port: Path) -> None:
    client.log_in("hf_someone_else")
    cli("push", port, REPO, "-q").fails(3, "does not let you write", "hint: ")
    client.patch.delenv("HF_TOKEN")
    cli("push", port, REPO, "-q").fails(3, "takes a token", "hf auth login")
    client.point_to(DEAD_ENDPOINT)
    cli("push", port, REPO, "-q").fails(3, f"{REPO} cannot be reached")


def test_a_report_that_is_none(cli: Cli, client: Client, port: Path) -> None:
    (port / "parity.json").write_text('{"verdict": "bit-exact"}')
    cli("push", port, REPO).fails(4, "parity.json is not a parity report")


def test_a_card_of_ones_own_is_announced(cli: Cli, client: Client, port: Path) -> None:
    (port / "README.md").write_text("# Mine\n")
    result = cli("push", port, REPO, "--dry-run", "-v")
    assert "README.md is your own, and goes up as it is" in result.err
    assert "model card  README.md, as you wrote it\n" in result.out
    assert "# Mine" in result.out


def test_commands_take_ports_on_the_hub(cli: Cli, hub: LoopbackHub, port: Path) -> None:
    cli("push", port, REPO, "-q")
    here = cli("eval", port, "--episodes", 2, "-q").out
    there = cli("eval", REPO, "--episodes", 2)
    there.succeeds()
    assert f"port         {REPO}\n" in there.out
    assert cli("eval", f"hf://{REPO}", "--episodes", 2, "-q").out == here
    assert "PPO" in cli("inspect", REPO).out
    cli("convert", REPO, "again").fails(2, f"{REPO} is a port already")
    cli("eval", "loopback/absent").fails(3, "no such repository")
    cli("export", REPO, "exported", "--to", "numpy", "--no-verify").succeeds()
    assert cli("verify", REPO, "--source", PENDULUM, "--no-reload", "-q").out == "bit-exact\n"
