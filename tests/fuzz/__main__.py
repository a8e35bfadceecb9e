"""The command line of the fuzzer.

python -m tests.fuzz                    without end, from a seed that is drawn and printed
python -m tests.fuzz --seed 7           from there on; --seconds 60 or --inputs 10000 bound it
python -m tests.fuzz --replay FILE      an input that was kept, with the traceback of what it ends in
"""

import argparse
import itertools
import json
import secrets
import signal
import sys
import time
from pathlib import Path

from .fuzzer import Fuzzer, shown
from .inputs import load, make

_EVERY = 20_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, help="the first seed; drawn without it")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="how long; without end by default"
    )
    parser.add_argument("--inputs", type=int, help="how many inputs")
    parser.add_argument("--only", action="store_true", help="examine the input of the one seed, and keep it")
    parser.add_argument("--replay", type=Path, help="examine an input that was kept")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where inputs are kept")
    return parser.parse_args()


def _main() -> int:
    options = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fuzzer = Fuzzer(options.findings)
    try:
        if options.replay:
            return _replay(fuzzer, options.replay)
        seed = secrets.randbelow(2**40) * 10**6 if options.seed is None else options.seed
        if options.only:
            given = make(seed, fuzzer.corpus)
            given.save(Path(f"{seed}.fuzz"))
            fuzzer.examine(given)
        else:
            print(f"seeds from {seed}", flush=True)
            _run(fuzzer, seed, options.inputs, time.monotonic() + options.seconds)
        print(shown(fuzzer.summary()))
    finally:
        fuzzer.close()
    return 1 if fuzzer.findings.seeds else 0


def _run(fuzzer: Fuzzer, seed: int, inputs: int | None, end: float) -> None:
    begin = time.process_time()
    last = itertools.count() if inputs is None else range(inputs)
    try:
        for index in last:
            if time.monotonic() > end:
                break
            fuzzer.examine(make(seed + index, fuzzer.corpus))
            if fuzzer.inputs % _EVERY == 0:
                rate = fuzzer.inputs / (time.process_time() - begin)
                kinds = len(fuzzer.findings.seeds)
                print(
                    f"{fuzzer.inputs:,} inputs, {rate:.0f} per second of one core, {kinds} findings",
                    flush=True,
                )
    except KeyboardInterrupt:
        pass
    rate = fuzzer.inputs / max(time.process_time() - begin, 1e-9)
    print(f"{fuzzer.inputs:,} inputs from seed {seed}, {rate:.0f} per second of one core")


def _replay(fuzzer: Fuzzer, path: Path) -> int:
    given = load(path.read_bytes())
    found = fuzzer.examine(given)
    place = fuzzer.scratch / "again" / given.name
    fuzzer.examination.explain(given, place)
    print(json.dumps({"outcomes": dict(fuzzer.outcomes), "found": found}, indent=1))
    return 1 if found else 0


sys.exit(_main())
