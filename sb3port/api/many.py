"""Many models at once: `bulk`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sb3port.commands.bulk.asking import Summary


def bulk(
    sources: str | Path | Sequence[str | Path] = (),
    out: str | Path = "ports",
    *,
    author: str | None = None,
    filter: str | None = None,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    sandbox: bool | None = None,
    scan: bool = False,
    repair: bool = False,
    export: str | None = None,
    evaluate: bool = False,
    episodes: int = 10,
    verify: bool = True,
    reload: bool = False,
    push: str | None = None,
    private: bool = False,
    retry: bool = False,
    jobs: int | None = None,
    timeout: float = 600.0,
    memory: float = 4.0,
    ray: str | None = None,
) -> "Summary":
    """Convert and verify many models: a whole organisation, a folder of runs, a list.

    The same call goes on where an earlier one ended, however that was. A model that cannot be ported is no
    error: it is counted, and the ledger says why.

    Args:
        sources: Folders with checkpoints at any depth, text files with a SOURCE in each line, or a SOURCE.
        out: Where results, the ledger and the report go.
        author: Whose models on the Hub are taken, too: all of this user or organisation.
        filter: Only models with this in their names; or a pattern with `*` and `?`.
        use_stats: False to leave VecNormalize statistics out.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        sandbox: Whether a process that can do nothing else reads the files; None for those of the Hub.
        scan: Scan files instead of converting them.
        repair: Write every model anew for today's SB3, instead of a port.
        export: Export every model instead: "sb3", "onnx", "torch" or "numpy".
        evaluate: Run every port in the environment of its training, too.
        episodes: For how many episodes.
        verify: False to skip the comparison with SB3.
        reload: Whether another process loads every port with LeRobot, too.
        push: Whose repositories on the Hub every port is pushed to, too.
        private: Whether new ones of these are private.
        retry: Try those again that failed in an earlier run.
        jobs: How many processes work; by default one for every core.
        timeout: How many seconds one model may take, and its download.
        memory: How many GiB a process may use beside what it begins with.
        ray: The address of a Ray cluster to work on, whose machines all see `out` and the models; or "auto".

    Returns:
        How many models were done and how many failed, why, and where the report is.

    Raises:
        sb3port.errors.Sb3portError: Nothing is found, or `out` is of something else.
    """
    from sb3port.commands.bulk.asking import action_of, bounds_of, check_asked, check_numbers, summary_of
    from sb3port.commands.bulk.items import find_items
    from sb3port.commands.bulk.job import Job
    from sb3port.commands.bulk.report import write_report
    from sb3port.commands.bulk.running import Plan, check_plan, run
    from sb3port.files.budget import factor

    labels = [str(label) for label in ([sources] if isinstance(sources, str | Path) else sources)]
    check_asked(bool(labels) or author is not None, private, push)
    check_numbers(jobs=1 if jobs is None else jobs, timeout=timeout, memory=memory, episodes=episodes)
    job = Job(
        *action_of(scan, repair, export),
        verify=verify,
        reload=reload,
        episodes=episodes if evaluate else 0,
        use_stats=use_stats,
        assume_standard_forward=assume_standard_forward,
        sandbox=sandbox,
        limits=factor(),
        owner=push or "",
        private=private,
    )
    check_plan(job)
    folder = Path(out)
    items = find_items(labels, author, filter, folder).items
    bounds = bounds_of(jobs, timeout, memory)
    progress = run(Plan(job, items, folder, bounds, retry, ray))
    return summary_of(folder, progress, write_report(folder))
