"""What scanners see of a payload in an SB3 checkpoint: those that are on the package index, beside sb3port's.

    python benchmarks/scanners.py [--environment .scanners] [--json]

The scanners are installed into an environment of their own the first time. The payload names `posix.system`,
and nothing loads it. A scanner sees it if it names it, or if its exit code says so and not of the clean file.
"""

import argparse
import base64
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXTURE = ROOT / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"
PACKAGES = ("picklescan", "modelscan", "fickling", "modelaudit")
PAYLOAD = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
# Its command line is for bare pickles; it has a function for archives.
FICKLING = (
    "import sys; from fickling.loader import scan_zip_archive; from fickling.analysis import Severity;"
    "found = scan_zip_archive(sys.argv[1]); print(found);"
    "sys.exit(any(result.severity > Severity.LIKELY_SAFE for result in found.values()))"
)


def main() -> None:
    """Make the files, let every scanner look at them, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environment", type=Path, default=ROOT / ".scanners")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    install(asked.environment)
    rows = {name: {} for name in FILES}
    with tempfile.TemporaryDirectory() as scratch:
        for name, plant in FILES.items():
            clean, evil = pair(Path(scratch) / name.replace(" ", "-"), plant)
            for scanner, look in SCANNERS.items():
                rows[name][scanner] = sees(look, asked.environment / "bin", clean, evil)
    report({"versions": versions(asked.environment), "seen": rows}, asked.json)


def install(environment: Path) -> None:
    """Make the environment of the scanners, unless it is there."""
    if (environment / "bin" / PACKAGES[-1]).exists():
        return
    venv.create(environment, with_pip=True)
    subprocess.run([environment / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)


def pair(folder: Path, plant: Callable[[Path, bytes], Path]) -> tuple[Path, Path]:
    """Make a file without the payload, with an empty list in its place, and one with it."""
    files = []
    for kind, pickled in (("clean", b"\x80\x04]."), ("evil", PAYLOAD)):
        shutil.copytree(FIXTURE, folder / kind)
        files.append(plant(folder / kind, pickled))
    return files[0], files[1]


def in_data(folder: Path, pickled: bytes, keep: tuple[str, ...] = ()) -> Path:
    """Plant in a field of `data`; keep only some members, where they are named."""
    path = folder / f"{FIXTURE.name}.zip"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if not keep or name in keep}
    data = json.loads(members["data"])
    data["extra"] = {":type:": "<class 'list'>", ":serialized:": base64.b64encode(pickled).decode()}
    return write(path, members | {"data": json.dumps(data).encode()})


def in_policy(folder: Path, pickled: bytes) -> Path:
    """Plant in the pickle of `policy.pth`, an archive in the archive."""
    path = folder / f"{FIXTURE.name}.zip"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(io.BytesIO(members["policy.pth"])) as archive:
        inner = {n: pickled if n.endswith("data.pkl") else archive.read(n) for n in archive.namelist()}
    packed = io.BytesIO()
    write(packed, inner)
    return write(path, members | {"policy.pth": packed.getvalue()})


def in_statistics(folder: Path, pickled: bytes) -> Path:
    """Plant in `vec_normalize.pkl`, a bare pickle."""
    (folder / "vec_normalize.pkl").write_bytes(pickled)
    return folder / "vec_normalize.pkl"


def in_yaml(folder: Path, pickled: bytes) -> Path:
    """Plant in rl_zoo3's `config.yml`."""
    tag = "!!python/object/apply:posix.system [true]" if pickled == PAYLOAD else "1"
    (folder / "config.yml").write_text(f"a: {tag}\n")
    return folder / "config.yml"


def in_processors(folder: Path, pickled: bytes) -> Path:
    """Plant in the processors of a LeRobot policy."""
    step = {"class": "posix.system"} if pickled == PAYLOAD else {"registry_name": "device_processor"}
    path = folder / "policy_preprocessor.json"
    path.write_text(json.dumps({"name": "policy_preprocessor", "steps": [step]}))
    return path


def write(place: Path | io.BytesIO, members: dict[str, bytes]) -> Path:
    """Write a zip."""
    with zipfile.ZipFile(place, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return place if isinstance(place, Path) else Path()


def fickling(programs: Path, path: Path) -> list[str]:
    """Give the command that fickling wants for a file."""
    if path.suffix == ".zip":
        return [str(programs / "python"), "-c", FICKLING, str(path)]
    return [str(programs / "fickling"), "--check-safety", "--print-results", str(path)]


FILES: dict[str, Callable[[Path, bytes], Path]] = {
    "SB3 zip, in data": in_data,
    "SB3 zip, in data, without policy.pth": lambda folder, pickled: in_data(folder, pickled, ("data",)),
    "SB3 zip, in policy.pth": in_policy,
    "vec_normalize.pkl": in_statistics,
    "config.yml": in_yaml,
    "policy_preprocessor.json": in_processors,
}
SCANNERS: dict[str, Callable[[Path, Path], list[str]]] = {
    "picklescan": lambda bin_, path: [str(bin_ / "picklescan"), "--path", str(path)],
    "modelscan": lambda bin_, path: [str(bin_ / "modelscan"), "-p", str(path)],
    "fickling": fickling,
    "modelaudit": lambda bin_, path: [str(bin_ / "modelaudit"), "scan", "--format", "json", str(path)],
    "sb3port scan": lambda _, path: [sys.executable, "-m", "sb3port", "scan", str(path)],
}


def sees(look: Callable[[Path, Path], list[str]], programs: Path, clean: Path, evil: Path) -> bool:
    """Whether a scanner names the payload, or calls the file worse than the clean one."""
    calm, alarmed = (run(look(programs, path)) for path in (clean, evil))
    named = re.search(r"posix[. ]*system|os\.system", alarmed[1]) is not None
    return named or (calm[0] == 0 and alarmed[0] not in (0, calm[0]) and "Traceback" not in alarmed[1])


def run(command: list[str]) -> tuple[int, str]:
    """Run a scanner, and give its exit code and what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


def versions(environment: Path) -> dict[str, str]:
    """Give the version of every scanner."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    found = subprocess.run(
        [environment / "bin" / "python", "-c", code, *PACKAGES], capture_output=True, text=True, check=True
    )
    return dict(zip(PACKAGES, found.stdout.split(), strict=True))


def report(found: dict[str, dict], as_json: bool) -> None:
    """Print what came of it."""
    print(json.dumps(found, indent=2) if as_json else "\n".join(table(found)))


def table(found: dict[str, dict]) -> Iterator[str]:
    """Give a table in Markdown."""
    titles = [f"{name} {found['versions'].get(name, '')}".strip() for name in SCANNERS]
    yield f"| payload in | {' | '.join(titles)} |"
    yield f"|---|{'---|' * len(titles)}"
    for name, row in found["seen"].items():
        yield f"| {name} | {' | '.join('seen' if row[scanner] else 'not seen' for scanner in SCANNERS)} |"


if __name__ == "__main__":
    main()
