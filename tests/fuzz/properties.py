"""What must hold of every input, whatever is in it.

Only our own errors come out, each with one clear sentence; nothing is imported, started or written; what is
written as a port is read again, and is the same; what is refused is refused again.
"""

import io
import json
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.contents import Contents
from sb3port.checkpoint.plain_form import from_plain, to_plain
from sb3port.cli.inspected import contents_json
from sb3port.cli.summary import checkpoint_json, policy_rows
from sb3port.commands.sandboxed import error_of
from sb3port.errors import Sb3portError, UsageError
from sb3port.files.port_files import is_port
from sb3port.inference.policy import PortedPolicy
from sb3port.ports.difference import difference
from sb3port.ports.reading import read_port
from sb3port.ports.writing import write_port
from sb3port.readers.meaning.contents import read_contents
from sb3port.readers.meaning.published import published_result
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

from .corpus import put
from .guard import Guard, Hang
from .inputs import Input
from .parts import READERS
from .sameness import differences

MAX_MESSAGE = 2500
_CODES = (2, 4, 5)


class Examination:
    """Examines inputs, one after the other, in a folder of its own.

    Args:
        folder: In memory, where the system has such a place.
        guard: Watches meanwhile.
    """

    def __init__(self, folder: Path, guard: Guard) -> None:
        self.folder, self.guard = folder, guard
        self.read_at, self.port_at = folder / "in", folder / "port"

    def examine(self, given: Input) -> tuple[str, list[str]]:
        """Give how it ended, in a word, and everything that must not be, each under a name for its kind."""
        place = self.read_at / given.name
        if given.kind == "part":
            return self._ended(given, self.folder)
        put(place, given.files)
        try:
            return self._ended(given, place)
        finally:
            shutil.rmtree(self.read_at)
            shutil.rmtree(self.port_at, ignore_errors=True)

    def _ended(self, given: Input, place: Path) -> tuple[str, list[str]]:
        found: list[str] = []
        said = io.StringIO()
        with self.guard.watching():
            try:
                with redirect_stdout(said), redirect_stderr(said):
                    outcome = self._outcome(given, place, found)
            except Hang as hang:
                outcome, found = "hang", [*found, f"hang {_place(hang)}"]
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                outcome, found = "bug", [*found, f"{type(error).__name__} {_place(error)}"]
        if said.getvalue():
            found.append(f"printed: {said.getvalue()[:60]!r}")
        return outcome, [*found, *self.guard.seen]

    def _outcome(self, given: Input, place: Path, found: list[str]) -> str:
        try:
            read = self._read(given, place)
        except Sb3portError as error:
            found.extend(_wrong_about(error))
            if given.thorough:
                found.extend(self._refused_otherwise(given, place, error))
            return type(error).__name__
        if not isinstance(read, Checkpoint):
            return "read"
        self._show(read)
        if given.thorough:
            found.extend(self._round_trip(read))
        return "round trip" if given.thorough else "read"

    def _read(self, given: Input, place: Path) -> Any:
        if given.kind == "part":
            with self.guard.writing():
                return READERS[given.name](given.files[given.name], place)
        if given.kind == "port":
            return read_port(place)
        if given.thorough:
            return read_checkpoint(resolve(str(place), SourceOptions()), given.use_stats)
        return self._read_contents(place, given.use_stats)

    def _read_contents(self, place: Path, use_stats: bool) -> Checkpoint:
        """Read all that can be read, show it, and give the policy or raise why there is none."""
        contents = read_contents(resolve(str(place), SourceOptions()), use_stats)
        refusal = None if contents.refusal is None else error_of(contents.refusal)
        json.dumps(contents_json(contents, "", refusal))
        again = from_plain(*to_plain(contents), Contents)
        assert (again.imports, again.tensors, again.loading) == (
            contents.imports,
            contents.tensors,
            contents.loading,
        )
        if refusal is not None:
            raise refusal
        assert contents.checkpoint is not None
        return contents.checkpoint

    def explain(self, given: Input, place: Path) -> None:
        """Read it once more, with the traceback of what it ends in."""
        put(place, {} if given.kind == "part" else given.files)
        try:
            read = self._read(given, place)
            if isinstance(read, Checkpoint):
                self._show(read)
                sys.stderr.writelines(f"{line}\n" for line in self._round_trip(read))
        except BaseException:
            traceback.print_exc()

    def _show(self, checkpoint: Checkpoint) -> None:
        """Say everything that commands say of it."""
        json.dumps(checkpoint_json(checkpoint))
        policy_rows(checkpoint)
        published_result(checkpoint.provenance)

    def _refused_otherwise(self, given: Input, place: Path, error: Sb3portError) -> Iterator[str]:
        try:
            self._read(given, place)
        except Sb3portError as again:
            if (type(again), again.message) != (type(error), error.message):
                yield f"refused otherwise: {type(error).__name__} and {type(again).__name__}"
        else:
            yield f"refused once, and then read: {type(error).__name__}"

    def _round_trip(self, checkpoint: Checkpoint) -> Iterator[str]:
        """Write it as a port, read that, and let it act."""
        with self.guard.writing():
            self.port_at.mkdir()
            write_port(checkpoint, self.port_at)
        try:
            again = read_port(self.port_at)
            assert is_port(self.port_at)
        except Sb3portError as error:
            yield f"own port refused: {_kind_of(error, self.port_at)}"
            return
        for path in differences(checkpoint, again):
            yield f"another after writing: {path[:100]}"
        if not difference(checkpoint, again).equal:
            yield "another after writing, says diff"
        if "model" not in again.spec.features_extractor:
            yield from self._acts(again)

    def _acts(self, checkpoint: Checkpoint) -> Iterator[str]:
        try:
            PortedPolicy(checkpoint, "numpy")
        except UsageError:  # this backend has no images and no LSTMs
            return
        except Sb3portError as error:
            yield f"own port does not load: {_kind_of(error, self.port_at)}"


def _wrong_about(error: Sb3portError) -> Iterator[str]:
    kind = f"{type(error).__name__} {_place(error)}"
    for text in filter(None, (error.message, error.hint)):
        if len(text) > MAX_MESSAGE:
            yield f"message too long: {kind}"
        if not text.isprintable():
            yield f"message not printable: {kind}"
    if error.exit_code not in _CODES:
        yield f"exit code {error.exit_code}: {kind}"


def _place(error: BaseException) -> str:
    """Name the last function of ours that an error went through."""
    at, place = error.__traceback__, "elsewhere"
    while at is not None:
        code = at.tb_frame.f_code
        if "/sb3port/" in code.co_filename:
            place = f"{code.co_filename.rpartition('/sb3port/')[2]}:{at.tb_lineno} {code.co_name}"
        at = at.tb_next
    return place


def _kind_of(error: Sb3portError, folder: Path) -> str:
    """Shorten a message so that those of one cause are the same."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "*", error.message.replace(str(folder), "PORT"))[:90]
