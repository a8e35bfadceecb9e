"""A bulk run on two nodes of Ray on this machine, of which one is killed; prints what came of it as JSON.

    python -m tests.bulk.on_ray MODELS OUT [--nodes N] [--verify] [--kill]

Needs Ray beside sb3port.
"""

import argparse
import faulthandler
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from sb3port.commands.bulk.crew import Bounds
from sb3port.commands.bulk.items import find_items
from sb3port.commands.bulk.job import Job
from sb3port.commands.bulk.running import Plan, Progress, run

# What Ray takes for dead on a machine that is busy with other things, and begins anew for ever: a worker that
# has not said within a minute that it is there, which takes longer where nothing of Ray is compiled or cached
# yet, and a node that does not answer at once. And where `uv run` started the tests, Ray would have workers
# begin by it, in a copy of this folder.
PATIENT = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_enable_metrics_collection": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_NODE = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}


def main() -> None:
    """Start nodes, run on them, kill one in the middle where that is wanted, and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--deadline", type=float, default=300.0, help="seconds after which it gives up")
    asked = parser.parse_args()
    os.environ.update(PATIENT)
    for name in ("RAY_ADDRESS", "RAY_TMPDIR"):  # of somebody else's cluster
        os.environ.pop(name, None)
    # Says where it hangs, if it does; nodes end with the process that started them.
    faulthandler.dump_traceback_later(asked.deadline, exit=True)
    # A folder of its own, with a short name: Ray has sockets in it, and other clusters have left theirs.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        told = on_cluster(asked, scratch)
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()
    os._exit(0)  # whatever of Ray still runs


def on_cluster(asked: argparse.Namespace, scratch: str) -> dict[str, Any]:
    """Run on a cluster of its own, and give the counts."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "temp_dir": scratch})
    try:
        others = [cluster.add_node(**_NODE) for _ in range(asked.nodes - 1)]
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        return ported(asked, cluster, others)
    finally:
        ray.shutdown()
        cluster.shutdown()


def ported(asked: argparse.Namespace, cluster: Any, others: list[Any]) -> dict[str, Any]:
    """Port all models, and give the counts, and how fast the last two thirds were ported."""
    killed, third = [0], [0.0, 0]

    def watch(progress: Progress) -> None:
        if not third[1] and progress.ended >= progress.total // 3:
            third[:] = progress.seconds, progress.ended
        if asked.kill and others and progress.ended >= progress.total // 3:
            killed[0] = progress.ended
            node = others.pop()
            threading.Thread(
                target=cluster.remove_node, args=(node,), kwargs={"allow_graceful": False}
            ).start()

    items = find_items([str(asked.models)], leave_out=asked.out).items
    plan = Plan(Job(verify=asked.verify), items, asked.out, Bounds(1), ray=cluster.address)
    progress = run(plan, watch)
    rate = (progress.ended - third[1]) / max(progress.seconds - third[0], 1e-6)
    return {**progress.statuses, "killed_after": killed[0], "seconds": progress.seconds, "rate": rate}


if __name__ == "__main__":
    main()
