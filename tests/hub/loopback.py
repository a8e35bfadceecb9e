"""A loopback Hub: repositories in a folder tree, served over HTTP as the real Hub serves model repositories.

`root/<owner>/<name>/…` becomes the repository `owner/name`. Each `LoopbackHub.commit` takes a snapshot of the
folder and moves a branch to it, and older commits stay available, as in git. What the real clients read is in
`reading` (model info, file tree, file metadata, downloads with ranges, the error codes), what they write in
`writing` (repositories, commits, large files, pull requests); what they write stays in memory.

Uses the standard library only, so that environments with any `huggingface_hub` can be pointed at it:
`HF_ENDPOINT=<hub.endpoint>` and `HF_HUB_DISABLE_XET=1`.
"""

import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from .reading import Reading
from .state import NOT_IN_REPOS, LoopbackHub
from .writing import Writing


class HubHandler(Reading, Writing):
    """Answers every route."""

    routes: ClassVar[dict[str, str]] = Reading.routes | Writing.routes


@contextmanager
def serve(
    root: Path, exclude: Set[str] = NOT_IN_REPOS, handler: type[HubHandler] = HubHandler
) -> Iterator[LoopbackHub]:
    """Serve the repositories below `root` until the block ends; what each holds now is its branch `main`."""
    hub = LoopbackHub(root, exclude=exclude)
    for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
        hub.commit(folder.relative_to(root).as_posix())
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"hub": hub}))
    server.block_on_close = False  # clients keep idle connections open, and nobody waits for those
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
