"""`sb3port push`: a port, its reports and its model card, in one commit on the Hub."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sb3port.cli import options
from sb3port.cli.environment_options import with_environment
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by, with_policy
from sb3port.cli.values import folder, whole_number
from sb3port.errors import UsageError, need
from sb3port.files.texts.source_code import shell
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sb3port.commands.policies import Policy, ReadOptions
    from sb3port.commands.publishing.contents import Upload
    from sb3port.commands.publishing.uploading import Pushed
    from sb3port.environments.given import Around

EXAMPLES = (
    "sb3port push ports/ppo-Pendulum-v1 me/ppo-Pendulum-v1 --dry-run",
    "sb3port push ports/ppo-Pendulum-v1 me/ppo-Pendulum-v1 --returns returns.json",
    "sb3port push model.zip me/ppo-Pendulum-v1 --env Pendulum-v1",
)


@with_policy
@with_environment("sb3port push", "Where to evaluate a SOURCE; by default the environment of the training.")
def push(
    port: Annotated[
        str,
        typer.Argument(
            metavar="PORT|SOURCE",
            help="A folder that convert or train wrote, or what convert takes.",
            show_default=False,
        ),
    ],
    repo: Annotated[
        str, typer.Argument(metavar="REPO", help="Where it goes on the Hub: org/name.", show_default=False)
    ],
    reading: "ReadOptions",
    env: str | None,
    around: "Around",
    episodes: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole_number(0), help="Evaluate a SOURCE for so many episodes; 0 for none."
        ),
    ] = 10,
    no_film: Annotated[
        bool, typer.Option("--no-film", help="Do not film the first episode of a SOURCE.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository a private one, if it is new.")
    ] = False,
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Propose the commit in a pull request.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go up, with -v the model card; write nothing.")
    ] = False,
    report_dir: Annotated[
        Path | None,
        typer.Option(
            "--report-dir",
            metavar="DIR",
            parser=folder,
            help="Where verify wrote its report, if not into the port.",
        ),
    ] = None,
    returns: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What eval --json printed, for the model card."),
    ] = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Put a port on the Hub, with its parity report and a model card.

    A SOURCE, such as SB3's zip, is ported and verified first, evaluated in its environment, and filmed; with
    the port go a zip and a vec_normalize.pkl that today's SB3 loads, and the settings of the training. One
    commit replaces the port that is there; other files of the repository stay. Files in PORT that are not
    part of the port do not go up, and neither do paths of this machine.
    """
    from sb3port.commands.policies import find_policy
    from sb3port.commands.publishing.uploading import check_name

    output = Output(json, quiet, verbose)
    check_name(repo)
    policy = find_policy(port, reading, chosen_by(output))
    uploading = _Uploading(output, repo, returns, private, create_pr, dry_run)
    if policy.source is None:
        _refuse_evaluation(env, around)
        _push_port(uploading, policy, report_dir)
        return
    if returns is not None or report_dir is not None:
        raise UsageError(
            f"{port} is a SOURCE, which push verifies and evaluates itself", "drop --returns and --report-dir"
        )
    from sb3port.commands.publish import Packing, packed

    need("sb3", "porting it")
    packing = Packing(reading, env, around, range(episodes), not no_film)
    with ExitStack() as kept, ExitStack() as spinner:
        show = spinner.enter_context(output.working(terminal("porting")))
        upload = kept.enter_context(packed(port, repo, packing, _announcing(output, show)))
        spinner.close()
        _push(uploading, upload)


@dataclass(frozen=True)
class _Uploading:
    """How something goes up."""

    output: Output
    repo: str
    returns: Path | None
    private: bool
    create_pr: bool
    dry_run: bool


def _refuse_evaluation(env: str | None, around: "Around") -> None:
    from sb3port.environments.given import AS_IN_TRAINING

    if env is not None or around != AS_IN_TRAINING:
        hint = "write returns with: sb3port eval PORT --json > returns.json, and add --returns returns.json"
        raise UsageError("push evaluates a SOURCE, and not what has been ported", hint)


def _push_port(how: _Uploading, policy: "Policy", report_dir: Path | None) -> None:
    from sb3port.commands.publishing.contents import prepare

    assert policy.port is not None
    _push(how, prepare(policy.port, how.repo, report_dir, how.returns))


def _announcing(output: Output, show: "Callable[[TerminalText], None]") -> "Callable[[str, str], None]":
    def announce(stage: str, text: str) -> None:
        if stage == "warning":
            output.warn(shown(text))
        else:
            output.stage(shown(stage), shown(text))
            show(terminal("after {}", stage))

    return announce


def _push(how: _Uploading, upload: "Upload") -> None:
    from sb3port.commands.publishing.uploading import push as run

    output = how.output
    _warn(output, upload, how.returns)
    if how.dry_run:
        _print_dry_run(output, upload)
        return
    with output.working(terminal("push    {} to {}", _size(upload), how.repo)):
        done = run(upload, how.private, how.create_pr)
    if not output.result("sb3port.push", _json(upload, done), shown(done.pull_request or done.commit_url)):
        _print_done(output, upload, done)


def _warn(output: Output, upload: "Upload", returns: Path | None) -> None:
    if upload.verdict is None:
        output.warn(
            terminal("there is no parity report, which the model card says; verify --report-dir writes one")
        )
    elif upload.verdict == "inconclusive":
        output.warn(terminal("the parity report is inconclusive, which the model card says"))
    if upload.own_card:
        left = ", and the returns are not in it" if returns else ""
        output.warn(terminal("README.md is your own, and goes up as it is{}", left))


def _json(upload: "Upload", done: "Pushed | None") -> dict[str, Any]:
    return {
        "repo_id": upload.repo_id,
        "url": done.url if done else None,
        "commit": done.commit if done else None,
        "commit_url": done.commit_url if done else None,
        "pull_request": done.pull_request if done else None,
        "changed": done.changed if done else False,
        "dry_run": done is None,
        "files": [{"name": name, "size": size} for name, size in upload.sizes.items()],
        "left_out": list(upload.left_out),
        "verdict": upload.verdict,
        "licence": upload.licence.metadata.get("license"),
        "card": upload.card,
    }


def _print_dry_run(output: Output, upload: "Upload") -> None:
    if output.result("sb3port.push", _json(upload, None), shown(upload.repo_id)):
        return
    rows = [(shown(name), terminal("{:,}", size)) for name, size in upload.sizes.items()]
    output.table((terminal("file"), terminal("bytes")), rows)
    output.line()
    output.fields(shown_rows({"repository": upload.repo_id, **_rows(upload)}))
    if output.verbose:
        output.line()
        output.lines(map(shown, upload.card.split("\n")))
    output.hint(terminal("nothing was pushed; leave --dry-run out for that"))


def _print_done(output: Output, upload: "Upload", done: "Pushed") -> None:
    commit = {"pull request": done.pull_request} if done.pull_request else {"commit": done.commit_url}
    if not done.changed:
        commit = {"commit": f"none: {upload.repo_id} has all of it already"}
    output.fields(shown_rows({"repository": done.url, **commit, **_rows(upload)}))
    if done.pull_request is None:
        from sb3port.ports.card.running import lerobot_options

        told = lerobot_options(upload.checkpoint.environment)
        command = shell("lerobot-eval --policy.path={} {}", upload.repo_id, told)
        output.hint(terminal("run it anywhere with: {}", command))


def _rows(upload: "Upload") -> dict[str, str]:
    return {
        "files": _size(upload),
        "model card": "README.md" + (", as you wrote it" if upload.own_card else ""),
        "parity": upload.verdict or "not verified",
        "licence": upload.licence.metadata.get("license", "not stated"),
        **({"left out": ", ".join(upload.left_out)} if upload.left_out else {}),
    }


def _size(upload: "Upload") -> str:
    return f"{len(upload.files)} files, {sum(upload.sizes.values()):,} bytes"
