"""A bulk run on two nodes of Ray on this machine, of which one is killed; prints what came of it as JSON.

    python -m tests.bulk.on_ray MODELS OUT [--nodes N] [--kill]

Needs Ray beside sb3port.
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sb3port.commands.bulk.crew import Bounds
from sb3port.commands.bulk.items import find_items
from sb3port.commands.bulk.job import Job
from sb3port.commands.bulk.running import Plan, Progress, run


def main() -> None:
    """Start nodes, run on them, kill one in the middle where that is wanted, and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--kill", action="store_true")
    asked = parser.parse_args()
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_enable_metrics_collection="0")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False},
    )
    others = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(asked.nodes - 1)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    began, killed = time.monotonic(), [0]

    def watch(progress: Progress) -> None:
        if asked.kill and others and progress.ended >= progress.total // 3:
            killed[0] = progress.ended
            threading.Thread(
                target=cluster.remove_node, args=(others.pop(),), kwargs={"allow_graceful": False}
            ).start()

    items = find_items([str(asked.models)], leave_out=asked.out).items
    plan = Plan(Job(verify=asked.verify), items, asked.out, Bounds(1), ray=cluster.address)
    progress = run(plan, watch)
    counts: dict[str, Any] = {**progress.statuses, "killed_after": killed[0], "seconds": progress.seconds}
    sys.stdout.write(f"{json.dumps({**counts, 'all_seconds': time.monotonic() - began})}\n")
    cluster.shutdown()


if __name__ == "__main__":
    main()
