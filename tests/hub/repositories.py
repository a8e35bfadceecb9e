"""Repositories as the Hub has them: commits, references to them, large files, pull requests."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# What the Hub keeps outside git, and serves with the `X-Linked-*` headers.
LARGE_FILE_SUFFIXES = (".zip", ".pkl", ".pth", ".npz", ".safetensors", ".onnx", ".mp4")

Tree = dict[str, bytes]


@dataclass
class PullRequest:
    """A pull request: its commits are those of `refs/pr/<number>`."""

    number: int
    title: str
    status: str = "open"


@dataclass
class Repo:
    """The commits of one repository, and the branches and tags that point to them."""

    commits: dict[str, Tree] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    pull_requests: list[PullRequest] = field(default_factory=list)

    def resolve(self, revision: str) -> str | None:
        """Give the commit of a branch, tag, pull request or commit."""
        return revision if revision in self.commits else self.refs.get(revision)

    def commit(self, tree: Tree, ref: str) -> str:
        """Let a branch or pull request point to these files; same contents, same commit."""
        blobs = {name: blob_id(content) for name, content in sorted(tree.items())}
        commit = hashlib.sha1(json.dumps(blobs).encode()).hexdigest()
        self.commits[commit] = tree
        self.refs[ref] = commit
        return commit

    def open_pull_request(self, title: str) -> PullRequest:
        """Open a pull request with what `main` has."""
        opened = PullRequest(len(self.pull_requests) + 1, title)
        self.pull_requests.append(opened)
        self.refs[f"refs/pr/{opened.number}"] = self.refs["main"]
        return opened


def is_large(name: str) -> bool:
    """Whether the Hub keeps a file outside git."""
    return name.endswith(LARGE_FILE_SUFFIXES)


def blob_id(content: bytes) -> str:
    """Git's own name of a file's contents."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content: bytes) -> str:
    """The name of a large file's contents."""
    return hashlib.sha256(content).hexdigest()


def entries(tree: Tree) -> Iterator[dict[str, Any]]:
    """Describe files and the folders above them as the tree endpoint does."""
    folders = {name[: slash.start()] for name in tree for slash in re.finditer("/", name)}
    for name in sorted(folders):
        yield {"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0, "path": name}
    for name, content in tree.items():
        large = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
        entry = {"type": "file", "oid": blob_id(content), "size": len(content), "path": name}
        yield entry | ({"lfs": large} if is_large(name) else {})
