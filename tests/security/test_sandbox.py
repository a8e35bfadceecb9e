"""The process that reads strangers' files: one that was taken over is refused, by the name of what it tried.

The reader that is planted in the process stands for a mistake in ours that a file makes use of.
"""

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands import sandboxed
from sb3port.commands.handed_back import Reading, check_handed_back
from sb3port.commands.sandboxed import limits_for, read_guarded
from sb3port.errors import NotPortable, Unsafe, UsageError
from sb3port.files import walls
from sb3port.files.limited_process import can_limit
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

pytestmark = pytest.mark.skipif(not can_limit(), reason="the sandbox is for Linux")
needs_landlock = pytest.mark.skipif("Landlock" in walls.missing_walls(), reason="this kernel has no Landlock")
needs_seccomp = pytest.mark.skipif("seccomp" in walls.missing_walls(), reason="seccomp cannot be used here")

Plant = Callable[[Callable[[], Any]], None]


@pytest.fixture
def reading(pendulum: Path) -> Reading:
    return Reading(resolve(str(pendulum), SourceOptions()))


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Put a function in the place of the reader."""
    return lambda does: monkeypatch.setattr(sandboxed, "read_checkpoint", lambda *_: does())


@needs_landlock
def test_it_reads_no_other_file(reading: Reading, plant: Plant, tmp_path: Path) -> None:
    secret = tmp_path / ".ssh" / "id_ed25519"
    secret.parent.mkdir()
    secret.write_text("secret")
    plant(secret.read_text)
    with pytest.raises(Unsafe, match=r"tried what no reading does.*id_ed25519: Permission denied"):
        read_guarded(reading, True)


@needs_landlock
def test_it_lists_no_folder(reading: Reading, plant: Plant) -> None:
    plant(lambda: os.listdir(reading.source.root))  # noqa: PTH208
    with pytest.raises(Unsafe, match="Permission denied"):
        read_guarded(reading, True)


@needs_landlock
def test_it_writes_nowhere(reading: Reading, plant: Plant, tmp_path: Path) -> None:
    plant(lambda: (tmp_path / "planted").write_text("x"))
    with pytest.raises(Unsafe, match="planted: Permission denied"):
        read_guarded(reading, True)
    assert list(tmp_path.iterdir()) == []


def test_it_writes_nowhere_without_landlock(
    reading: Reading, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can make a file, and put nothing into it."""
    monkeypatch.setattr(walls, "landlock_version", lambda: 0)
    plant(lambda: (tmp_path / "planted").write_text("x"))
    with pytest.raises(Unsafe, match="File too large"):
        read_guarded(reading, True)
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())


@needs_landlock
def test_it_does_not_change_what_it_reads(pendulum: Path, plant: Plant) -> None:
    path = next(pendulum.glob("*.zip"))
    before = path.read_bytes()
    plant(lambda: path.open("r+b"))
    with pytest.raises((Unsafe, OSError), match=r"denied"):
        read_guarded(Reading(resolve(str(path), SourceOptions())), True)
    assert path.read_bytes() == before


@needs_seccomp
@pytest.mark.parametrize(
    "does",
    [
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda: socket.socket(socket.AF_UNIX),
        lambda: socket.socket(socket.AF_INET).connect(("127.0.0.1", 9)),
        os.fork,
        lambda: os.system("true"),
        lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
        lambda: threading.Thread(target=print).start(),
        lambda: os.kill(os.getppid(), signal.SIGTERM),
        lambda: os.unlink(__file__),  # noqa: PTH108
        lambda: os.chmod(__file__, 0o777),  # noqa: PTH101
        lambda: os.mkdir("/tmp/planted"),  # noqa: PTH102
        lambda: os.execv("/bin/true", ["true"]),
    ],
)
def test_it_cannot_leave(does: Callable[[], Any], reading: Reading, plant: Plant) -> None:
    plant(does)
    with pytest.raises(Unsafe, match=r"tried to leave its process, and was stopped \(SIGSYS\)"):
        read_guarded(reading, True)


def test_it_cannot_raise_its_limits(reading: Reading, plant: Plant) -> None:
    import resource

    plant(lambda: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2))
    with pytest.raises((Unsafe, RuntimeError), match=r"SIGSYS|not allowed to raise"):
        read_guarded(reading, True)


def test_memory_is_limited(reading: Reading, plant: Plant) -> None:
    plant(lambda: np.ones(4 << 30, np.uint8))
    with pytest.raises(
        NotPortable, match=r"needs more memory than reading it is allowed \(1\.0 GiB\)"
    ) as failed:
        read_guarded(reading, True)
    assert "--no-sandbox" in (failed.value.hint or "")


def test_cpu_time_is_limited(reading: Reading, plant: Plant) -> None:
    def spin() -> None:
        while True:
            pass

    plant(spin)
    limits = replace(limits_for(reading.paths), cpu=1)
    with pytest.raises(NotPortable, match=r"more CPU time than reading it is allowed \(1 s\)"):
        read_guarded(reading, True, limits)


def test_time_is_limited(reading: Reading, plant: Plant) -> None:
    plant(lambda: signal.sigwait([signal.SIGUSR1]))
    limits = replace(limits_for(reading.paths), seconds=0.2)
    with pytest.raises(NotPortable, match=r"more time than reading it is allowed \(0\.2 s\)"):
        read_guarded(reading, True, limits)


def test_what_it_says_is_limited(reading: Reading, plant: Plant) -> None:
    def talk() -> None:
        error = NotPortable("")
        error.message = "x" * 2_000_000
        raise error

    plant(talk)
    with pytest.raises(Unsafe, match=r"an error has 2,000,\d+ bytes"):
        read_guarded(reading, True)
    with pytest.raises(NotPortable, match="more room than a checkpoint of its size is allowed"):
        read_guarded(reading, True, replace(limits_for(reading.paths), answer=1_000_000))


def test_a_crash_is_told(reading: Reading, plant: Plant) -> None:
    plant(lambda: ctypes.string_at(0))
    with pytest.raises(NotPortable, match=r"the process that read ppo-Pendulum-v1.zip crashed \(SIGSEGV\)"):
        read_guarded(reading, True)


def test_a_bug_is_a_bug(reading: Reading, plant: Plant) -> None:
    plant(lambda: {}["\x1b[31mkey"])
    with pytest.raises(RuntimeError, match="KeyError") as failed:
        read_guarded(reading, True)
    assert "\x1b" not in str(failed.value)


def test_an_exit_without_an_answer_is_told(reading: Reading, plant: Plant) -> None:
    plant(lambda: os._exit(0))
    with pytest.raises(NotPortable, match="crashed"):
        read_guarded(reading, True)


def test_it_has_no_variables(reading: Reading, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    def tell() -> None:
        raise NotPortable(f"{dict(os.environ)} {os.getenv('HF_TOKEN')}")

    plant(tell)
    with pytest.raises(NotPortable) as failed:
        read_guarded(reading, True)
    assert failed.value.message == "{} None"
    assert os.environ["HF_TOKEN"] == "hf_secret"


def test_it_has_no_open_files(reading: Reading, plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with (tmp_path / "secret").open() as file:
        number = file.fileno()
        os.set_inheritable(number, True)
        plant(lambda: os.read(number, 10))
        with pytest.raises(RuntimeError, match="Bad file descriptor"):
            read_guarded(reading, True)


def test_ctrl_c_ends_it(reading: Reading, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    started, fork = [], os.fork
    monkeypatch.setattr(os, "fork", lambda: started.append(fork()) or started[-1])
    plant(lambda: signal.sigwait([signal.SIGUSR1]))
    threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        read_guarded(reading, True)
    with pytest.raises(ProcessLookupError):
        os.kill(started[-1], 0)


def test_there_is_none_on_other_systems(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxed, "can_limit", lambda: False)
    with pytest.raises(UsageError, match="--sandbox is for Linux"):
        read_guarded(reading, True)
    on_hub = replace(reading, source=replace(reading.source, kind="hub"))
    assert read_guarded(on_hub, None).spec.algorithm == "ppo"


def test_the_filter_is_one_on_both_architectures() -> None:
    """Every test jumps over the kill that follows it, and to nowhere else."""
    for machine in ("x86_64", "aarch64"):
        program = walls._filter(machine)
        assert len(program) < 256
        assert program[-1] == (walls._RETURN, 0, 0, walls._ALLOW)
        tests = [number for number, line in enumerate(program) if line[:3] == (walls._EQUAL, 0, 1)]
        assert len(tests) > 30
        assert {program[number + 1] for number in tests} == {(walls._RETURN, 0, 0, walls._KILL)}


def lies(honest: Checkpoint) -> dict[str, Checkpoint]:
    """Give checkpoints that no reading of the source gives."""
    name, weights = "action_net.weight", honest.tensors["action_net.weight"]
    spec, told = honest.spec, honest.provenance
    rms, file = honest.normalizer.obs_rms, told.files["checkpoint"]  # type: ignore[union-attr]
    space, tensors = spec.observation_space, honest.tensors

    def with_tensor(value: Any) -> Checkpoint:
        return replace(honest, tensors={**tensors, name: value})

    def with_spec(**fields: Any) -> Checkpoint:
        return replace(honest, spec=replace(spec, **fields))

    def with_provenance(**fields: Any) -> Checkpoint:
        return replace(honest, provenance=replace(told, **fields))

    def with_statistics(**fields: Any) -> Checkpoint:
        changed = replace(rms, **fields)  # type: ignore[type-var]
        return replace(honest, normalizer=replace(honest.normalizer, obs_rms=changed))  # type: ignore[type-var]

    return {
        "is float64 instead of float32": with_tensor(weights.astype(np.float64)),
        "instead of (1, 64)": with_tensor(weights.T),
        "NaN or infinite": with_tensor(weights * np.nan),
        "is missing": replace(honest, tensors={n: a for n, a in tensors.items() if n != name}),
        "SB3's order": replace(honest, tensors=dict(reversed(tensors.items()))),
        "it.tensors['action_net.weight'] is of type list": with_tensor([1.0]),
        "activation": with_spec(activation_fn="os.system"),
        "code that the user has not named": with_spec(features_extractor="os:system"),
        "it.spec.use_sde is of type str": with_spec(use_sde="yes"),
        "it.spec.net_arch is of type str": with_spec(net_arch="deep"),
        "valid Box": with_spec(observation_space=replace(space, dtype="float64")),  # type: ignore[type-var]
        "another source": with_provenance(location="/etc/passwd"),
        "as it was to be read": with_provenance(no_stats=True),
        "is not the file that was read": with_provenance(
            files={**told.files, "checkpoint": replace(file, sha256="0" * 64)}
        ),
        "/etc/passwd is not the file": with_provenance(
            files={**told.files, "config": replace(file, name="/etc/passwd")}
        ),
        "not of the file that was named": with_provenance(files={"statistics": told.files["statistics"]}),
        "its version is none": with_provenance(sb3_version="2.0 [link](x)"),
        "shape": with_statistics(mean=np.zeros(4), var=np.ones(4)),
        "variance is negative": with_statistics(var=-np.ones(3)),
        "statistics are not those of a file": replace(honest, normalizer=None),
        "optimiser": replace(
            honest,
            optimizer=replace(honest.optimizer, state={0: {"exp_avg": np.zeros(7)}}),  # type: ignore[type-var]
        ),
        "1,001 warnings": replace(honest, warnings=("",) * 1001),
        "bytes of JSON": replace(honest, warnings=("x" * 17_000_000,)),
        "it.warnings[0] is of type int": replace(honest, warnings=(1,)),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("number", range(24))
def test_lies_are_refused(number: int, reading: Reading, plant: Plant) -> None:
    told, lie = list(lies(read_checkpoint(*reading.arguments)).items())[number]
    plant(lambda: lie)
    with pytest.raises(Unsafe, match="handed back is not a checkpoint of it") as failed:
        read_guarded(reading, True)
    assert told in failed.value.message


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"x",
        b"c",
        b"c" + b"\xff" * 100,
        b"c" + (2).to_bytes(8, "little") + b"{}",
        b"c" + (200_000).to_bytes(8, "little") + b"[" * 200_000 + (2).to_bytes(8, "little") + b"{}",
        b"e",
        b"e[]",
        b'e["SystemExit", "x", null]',
        b'e["NotPortable", null, null]',
        b'e["NotPortable", 1, null]',
        b'e["Unsafe", "x", {}]',
        b"o[1]",
        b'o["1", "x", "y"]',
        b"\x80\x04N.",
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes, reading: Reading) -> None:
    with pytest.raises(Unsafe, match="handed back is not a checkpoint of it"):
        sandboxed._take(answer, reading, sandboxed._Work(read_checkpoint, Checkpoint, check_handed_back))


def test_reading_waits_for_no_lock_of_another_thread(reading: Reading) -> None:
    """Threads that import, allocate and print all the time, whose locks a fork may copy."""
    end = threading.Event()

    def busy() -> None:
        while not end.is_set():
            bytearray(100_000)
            print(".", end="", file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
            time.perf_counter()

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            read_guarded(reading, True, replace(limits_for(reading.paths), seconds=10))
    finally:
        end.set()
        for thread in threads:
            thread.join()
