"""`sb3port push`: a port, its reports and its model card, in one commit on the Hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by
from sb3port.cli.values import folder
from sb3port.files.texts.source_code import shell
from sb3port.files.texts.terminal import shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.commands.publishing.contents import Upload
    from sb3port.commands.publishing.uploading import Pushed

EXAMPLES = (
    "sb3port push ports/ppo-Pendulum-v1 me/ppo-Pendulum-v1 --dry-run",
    "sb3port push ports/ppo-Pendulum-v1 me/ppo-Pendulum-v1 --returns returns.json",
)


def push(
    port: Annotated[
        str,
        typer.Argument(metavar="PORT", help="A folder that convert or train wrote.", show_default=False),
    ],
    repo: Annotated[
        str, typer.Argument(metavar="REPO", help="Where it goes on the Hub: org/name.", show_default=False)
    ],
    last: options.Last = False,
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

    One commit replaces the port that is there; other files of the repository stay. Files in PORT that are not
    part of the port do not go up, and neither do paths of this machine.
    """
    from sb3port.commands.policies import own_port
    from sb3port.commands.publishing.contents import prepare
    from sb3port.commands.publishing.uploading import check_name
    from sb3port.commands.publishing.uploading import push as run

    output = Output(json, quiet, verbose)
    check_name(repo)
    folder = own_port(port, last, chosen_by(output), ("push", repo))
    upload = prepare(folder, repo, report_dir, returns)
    _warn(output, upload, returns)
    if dry_run:
        _print_dry_run(output, upload)
        return
    with output.working(terminal("push    {} to {}", _size(upload), repo)):
        done = run(upload, private, create_pr)
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
        command = shell("lerobot-eval --policy.path={} --env.type=gymnasium {}", upload.repo_id, told)
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
