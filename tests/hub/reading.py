"""What a loopback Hub tells and sends: model info, file trees, files and their metadata."""

import re
from typing import ClassVar
from urllib.parse import urlsplit

from .http_handler import BaseHandler, Refused
from .repositories import blob_id, entries, is_large, sha256

CDN = (
    "localhost"  # the same machine as 127.0.0.1, and another host to a client, which keeps its token from it
)


class Reading(BaseHandler):
    """The routes that change nothing."""

    routes: ClassVar[dict[str, str]] = {
        r"GET /api/whoami-v2": "whoami",
        r"GET /api/models": "models",
        r"GET /api/models/(?P<repo_id>[^/]+/[^/]+)(/revision/(?P<revision>.+))?": "model_info",
        r"GET /api/models/(?P<repo_id>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)(/(?P<path>.+))?": "tree",
        r"GET /api/models/(?P<repo_id>[^/]+/[^/]+)/refs": "refs",
        r"GET /(?P<repo_id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)": "resolve",
        r"GET /cdn/(?P<oid>[0-9a-f]{64})": "content",
    }

    def whoami(self) -> None:
        """Tell whose token it is."""
        if not self.authorized():
            raise Refused(401, None, "Invalid credentials in Authorization header")
        token = {"accessToken": {"displayName": "loopback", "role": "write"}}
        self.reply_json({"type": "user", "name": self.hub.user, "orgs": [], "auth": token})

    def models(self) -> None:
        """List repositories, as `HfApi.list_models` asks for them, a few on a page as the real Hub does."""
        author, search = self.query.get("author", ""), self.query.get("search", "").lower()
        found = [name for name in self.hub.repos if name.startswith(f"{author}/") and search in name.lower()]
        first = int(self.query.get("cursor", 0))
        rows = [{"_id": name, "id": name} for name in found[first : first + self.hub.page]]
        after = first + self.hub.page
        url = f"{self.hub.endpoint}/api/models?author={author}&search={search}&cursor={after}"
        self.reply_json(rows, headers={"Link": f'<{url}>; rel="next"'} if after < len(found) else None)

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
        deep = self.query.get("recursive", "").lower() == "true"
        inside = [entry for entry in entries(below) if entry["path"].startswith(prefix)]
        self.reply_json([entry for entry in inside if deep or "/" not in entry["path"][len(prefix) :]])

    def refs(self, repo_id: str) -> None:
        """List branches, tags and pull requests."""
        self.find(repo_id, "main")
        repo = self.hub.repos[repo_id]
        pulls = {name for name in repo.refs if name.startswith("refs/pr/")}
        groups = {
            "branches": (set(repo.refs) - repo.tags - pulls, "refs/heads/"),
            "tags": (repo.tags, "refs/tags/"),
            "pullRequests": (pulls, ""),
            "converts": (set[str](), ""),
        }
        self.reply_json(
            {
                group: [{"name": n, "ref": prefix + n, "targetCommit": repo.refs[n]} for n in sorted(names)]
                for group, (names, prefix) in groups.items()
            }
        )

    def resolve(self, repo_id: str, revision: str, path: str) -> None:
        """Send a file, or its headers alone; large ones from where they are kept."""
        commit, tree = self.find(repo_id, revision)
        if repo_id in self.hub.gated and not self.authorized():
            status = 403 if "Authorization" in self.headers else 401
            raise Refused(status, "GatedRepo", f"Access to model {repo_id} is restricted.")
        if path not in tree:
            raise Refused(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        content = tree[path]
        headers = {"X-Repo-Commit": commit, **_file_headers(path, content)}
        if not (is_large(path) and self.hub.redirects):
            self.send_file(content, headers)
            return
        self.hub.objects[sha256(content)] = content
        port = urlsplit(self.hub.endpoint).port
        location = {"Location": f"http://{CDN}:{port}/cdn/{sha256(content)}"}
        self.reply(302, b"", {n: v for n, v in headers.items() if n != "ETag"} | location)

    def content(self, oid: str) -> None:
        """Send a large file by what it holds."""
        if oid not in self.hub.objects:
            raise Refused(404)
        self.send_file(self.hub.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        """Send all of `content`, or the part that the Range header names."""
        part = _range(self.headers.get("Range"), len(content)) if self.hub.ranges else None
        if part is None:
            self.reply(200, content, headers)
        elif part:
            where = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
            self.reply(206, content[part.start : part.stop], {**headers, "Content-Range": where})
        else:
            raise Refused(416, headers={"Content-Range": f"bytes */{len(content)}"})


def _file_headers(path: str, content: bytes) -> dict[str, str]:
    if not is_large(path):
        return {"ETag": f'"{blob_id(content)}"', "Accept-Ranges": "bytes"}
    etag = f'"{sha256(content)}"'
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
