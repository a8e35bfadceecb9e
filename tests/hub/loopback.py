"""A loopback Hub: repositories in a folder tree, served over HTTP as the real Hub serves model repositories.

`root/<owner>/<name>/…` becomes the repository `owner/name`. Each `LoopbackHub.commit` takes a snapshot of the
folder and moves a branch to it, and older commits stay available, as in git. What the real client reads is
here (model info, file tree, file metadata, downloads with ranges, the error codes); nothing can be uploaded.

Uses the standard library only, so that environments with any `huggingface_hub` can be pointed at it:
`HF_ENDPOINT=<hub.endpoint>`.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

# Recorded outputs lie beside the models in a zoo folder without being part of the repositories.
NOT_IN_REPOS = frozenset({"reference.npz", "reference.json"})
# What the Hub keeps outside git, and serves with the `X-Linked-*` headers.
LARGE_FILE_SUFFIXES = (".zip", ".pkl", ".pth", ".npz", ".safetensors", ".onnx", ".mp4")

Tree = dict[str, bytes]


@dataclass(frozen=True)
class Request:
    """One request that the hub got: `path` is unquoted and without query, `range` the header's value."""

    method: str
    path: str
    range: str | None


@dataclass
class Repo:
    """The commits of one repository, and the branches and tags that point to them."""

    commits: dict[str, Tree] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        """Give the commit of a branch, tag, pull request or commit."""
        return revision if revision in self.commits else self.refs.get(revision)


@dataclass
class LoopbackHub:
    """The repositories and the temper of a loopback Hub; tests change it while it serves.

    Args:
        root: The folder tree, `root/<owner>/<name>/…`.
        endpoint: The address, for `HF_ENDPOINT`.
        exclude: File names that are not part of the repositories.
        token: The token that opens everything; `hf_…` is that of a stranger, and anything else is no token.
        private: Repositories that exist for holders of the token only.
        gated: Repositories that everyone can list but whose files only holders of the token can read.
        failing: A status that answers every request, or None.
        requests: Every request so far.
    """

    root: Path
    endpoint: str = ""
    exclude: Set[str] = NOT_IN_REPOS
    token: str = "hf_loopback"
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    failing: int | None = None
    requests: list[Request] = field(default_factory=list)
    repos: dict[str, Repo] = field(default_factory=dict)
    _cuts: list[int] = field(default_factory=list)

    def commit(self, repo_id: str, branch: str = "main") -> str:
        """Snapshot the repository's folder and move `branch` there; same contents, same commit."""
        folder = self.root / repo_id
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in self.exclude)
        tree = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        blobs = {name: _blob_id(content) for name, content in tree.items()}
        commit = hashlib.sha1(json.dumps(blobs, sort_keys=True).encode()).hexdigest()
        repo = self.repos.setdefault(repo_id, Repo())
        repo.commits[commit] = tree
        repo.refs[branch] = commit
        return commit

    def tag(self, repo_id: str, name: str) -> None:
        """Let the tag `name` point to what `main` is now."""
        repo = self.repos[repo_id]
        repo.refs[name] = repo.refs["main"]

    def cut_downloads(self, *after: int) -> None:
        """Cut the next downloads short, one for each number, after that many bytes of the body."""
        self._cuts = list(after)

    def next_cut(self) -> int | None:
        """Give the number of bytes after which the download that begins now is cut, or None."""
        return self._cuts.pop(0) if self._cuts else None

    @property
    def downloaded(self) -> list[str]:
        """The files whose contents were asked for, as `owner/name/resolve/commit/path`, in order."""
        paths = [request.path[1:] for request in self.requests if request.method == "GET"]
        return [path for path in paths if "/resolve/" in path]


@dataclass
class Refused(Exception):
    """An answer that is an error, in the Hub's form: `code` is what the client takes for the kind of it."""

    status: int
    code: str | None = None
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class HubHandler(BaseHTTPRequestHandler):
    """Answers one request; `routes` maps a pattern of the unquoted path to the method that answers it."""

    hub: ClassVar[LoopbackHub]
    routes: ClassVar[dict[str, str]] = {
        r"/api/models/(?P<repo_id>[^/]+/[^/]+?)(/revision/(?P<revision>.+))?": "model_info",
        r"/api/models/(?P<repo_id>[^/]+/[^/]+?)/tree/(?P<revision>[^/]+)(/(?P<path>.+))?": "tree",
        r"/(?P<repo_id>[^/]+/[^/]+?)/resolve/(?P<revision>[^/]+)/(?P<path>.+)": "resolve",
    }
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two packets, and the second would wait for 40 ms

    def do_GET(self) -> None:
        """Answer, and record what was asked."""
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(Request(self.command, path, self.headers.get("Range")))
        try:
            self.answer()
        except Refused as refused:
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message, **refused.headers}
            present = {name: value for name, value in headers.items() if value}
            self.reply_json({"error": refused.message}, refused.status, present)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def answer(self) -> None:
        """Route by the path while it is still quoted: a branch may hold a slash, which travels as %2F."""
        if self.hub.failing is not None:
            raise Refused(self.hub.failing)
        if not self.headers.get("Authorization", "Bearer hf_").startswith("Bearer hf_"):
            raise Refused(401, None, "Invalid credentials in Authorization header")
        for pattern, method in self.routes.items():
            if match := re.fullmatch(pattern, urlsplit(self.path).path):
                parts = {key: value and unquote(value) for key, value in match.groupdict().items()}
                getattr(self, method)(**parts)
                return
        raise Refused(404)

    def model_info(self, repo_id: str, revision: str | None) -> None:
        """Tell what `HfApi.model_info` reads."""
        commit, tree = self.find(repo_id, revision or "main")
        siblings = [{"rfilename": name} for name in tree]
        access = {"private": repo_id in self.hub.private, "gated": repo_id in self.hub.gated and "manual"}
        self.reply_json({"_id": commit[:24], "id": repo_id, "sha": commit, "siblings": siblings, **access})

    def tree(self, repo_id: str, revision: str, path: str | None) -> None:
        """List the folder `path` (the root by default), with all below it if the query says so."""
        _, tree = self.find(repo_id, revision)
        prefix = f"{path}/" if path else ""
        below = {name: content for name, content in tree.items() if name.startswith(prefix)}
        if path and not below:
            raise Refused(404, "EntryNotFound", f"{path} does not exist on {revision}")
        deep = "recursive=true" in urlsplit(self.path).query.lower()
        entries = [entry for entry in _entries(below) if entry["path"].startswith(prefix)]
        self.reply_json([entry for entry in entries if deep or "/" not in entry["path"][len(prefix) :]])

    def resolve(self, repo_id: str, revision: str, path: str) -> None:
        """Send a file, or its headers alone."""
        commit, tree = self.find(repo_id, revision)
        if repo_id in self.hub.gated and not self.authorized():
            status = 403 if "Authorization" in self.headers else 401
            raise Refused(status, "GatedRepo", f"Access to model {repo_id} is restricted.")
        if path not in tree:
            raise Refused(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        self.send_file(tree[path], {"X-Repo-Commit": commit, **_file_headers(path, tree[path])})

    def find(self, repo_id: str, revision: str) -> tuple[str, Tree]:
        """Give the commit of a revision, and its files."""
        repo = self.hub.repos.get(repo_id)
        if repo is None or (repo_id in self.hub.private and not self.authorized()):
            if "Authorization" in self.headers:
                raise Refused(404, "RepoNotFound", "Repository not found")
            raise Refused(401, None, "Invalid username or password.")
        commit = repo.resolve(revision)
        if commit is None:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, repo.commits[commit]

    def authorized(self) -> bool:
        """Whether the request carries the token."""
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        """Send all of `content`, or the part that the Range header names."""
        part = _range(self.headers.get("Range"), len(content))
        if part is None:
            self.reply(200, content, headers)
        elif part:
            where = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
            self.reply(206, content[part.start : part.stop], {**headers, "Content-Range": where})
        else:
            raise Refused(416, headers={"Content-Range": f"bytes */{len(content)}"})

    def reply_json(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with JSON."""
        self.reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Answer; the body of a file ends early where the test asked for it."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.hub.next_cut() if "ETag" in headers else None
        self.wfile.write(body[:cut])
        self.close_connection = self.close_connection or cut is not None

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on stderr: tests look at it."""


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


def _blob_id(content: bytes) -> str:
    """Git's own name of a file's contents."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entries(tree: Tree) -> Iterator[dict[str, Any]]:
    """Describe files and the folders above them as the tree endpoint does."""
    folders = {name[: slash.start()] for name in tree for slash in re.finditer("/", name)}
    for name in sorted(folders):
        yield {"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0, "path": name}
    for name, content in tree.items():
        large = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        entry = {"type": "file", "oid": _blob_id(content), "size": len(content), "path": name}
        yield entry | ({"lfs": large} if name.endswith(LARGE_FILE_SUFFIXES) else {})


def _file_headers(path: str, content: bytes) -> dict[str, str]:
    if not path.endswith(LARGE_FILE_SUFFIXES):
        return {"ETag": f'"{_blob_id(content)}"', "Accept-Ranges": "bytes"}
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    return {"ETag": etag, "X-Linked-Etag": etag, "X-Linked-Size": str(len(content)), "Accept-Ranges": "bytes"}


def _range(header: str | None, size: int) -> range | None:
    """Read `bytes=first-last`, `bytes=first-` or `bytes=-count`; None where there is none."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(int(last) + 1, size) if last else size)
