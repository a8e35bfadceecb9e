"""What the other process runs: load ports with LeRobot, as its users do, and compute their outputs.

    python -m sb3port.parity.checks.fresh

Each line that it reads is a request, as JSON: a port, and the `.npz` with the inputs; for each it writes a
line, with an error or none, when the outputs are in their file. Nothing is imported here that a comparison
would have imported before: SB3 above all. Where the system can, every request has a process of its own, which
is forked here, so that no port and no code of the user's own is seen by another. It ends with its input, or
when nothing was asked for a while.
"""

import json
import os
import select
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

from sb3port.errors import NotPortable, Sb3portError
from sb3port.families.extractors.own import VARIABLE
from sb3port.inference.port import Port
from sb3port.inference.replay_port import ReplayPort
from sb3port.networks.observations import Observations
from sb3port.ports.lerobot_folder import check_processors_of
from sb3port.ports.lerobot_template import policy_type

ACTIONS = "actions"
_IDLE_SECONDS = 120


def load_with_lerobot(folder: Path) -> Port | ReplayPort:
    """Load a port through LeRobot, from the saved folder, with both of its processor pipelines.

    Raises:
        Unsafe: Its processors are not those that we write.
        NotPortable: LeRobot cannot load it.
    """
    kind = policy_type(check_processors_of(folder))
    try:
        # LeRobot's own factory finds the class of a type of a plugin's by its configuration's name.
        policy = get_policy_class(kind).from_pretrained(folder)
        preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError) as error:
        raise NotPortable(f"LeRobot cannot load the port {folder}: {str(error)[:500]}") from error
    made = Port if isinstance(policy, PPOPolicy) else ReplayPort
    return made(policy, preprocess, postprocess)


def answer(request: dict[str, Any]) -> str:
    """Compute the outputs that a request asks for; give an error, empty where there is none."""
    try:
        os.environ[VARIABLE] = request["extractors"]
        sys.path[:] = [*request["path"], *(place for place in sys.path if place not in request["path"])]
        port = load_with_lerobot(Path(request["port"]))
        with np.load(request["inputs"]) as archive:
            inputs = dict(archive)
        actions = inputs.pop(ACTIONS)
        outputs = port.outputs(Observations.from_inputs(inputs), actions)
        np.savez(request["outputs"], **outputs)  # type: ignore[arg-type]  # numpy's stub of savez
    except Sb3portError as error:
        return error.message
    except (
        Exception,
        SystemExit,
    ) as error:  # the user's own code, or LeRobot's parser
        return f"{type(error).__name__}: {error}"
    return ""


def answer_apart(request: dict[str, Any]) -> str:
    """Answer in a forked process."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with os.fdopen(writing, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(answer(request)[-1000:])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        text = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"it ended with {code}" if code else text


def main(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more."""
    torch.set_num_threads(1)
    respond = answer_apart if sys.platform == "linux" else answer  # macOS breaks what has threads and forks
    while os.name == "nt" or select.select([requests], [], [], _IDLE_SECONDS)[0]:
        line = requests.readline()
        if not line:
            return
        answers.write(f"{json.dumps(respond(json.loads(line)))}\n")
        answers.flush()


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        os.dup2(2, 1)  # LeRobot prints while it loads
        main(sys.stdin, stream)
