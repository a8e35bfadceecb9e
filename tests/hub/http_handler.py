"""How a loopback Hub takes requests and answers them; what it answers is in `reading` and `writing`."""

import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from .repositories import Tree
from .state import LoopbackHub, Request


@dataclass
class Refused(Exception):
    """An answer that is an error, in the Hub's form: `code` is what the client takes for the kind of it."""

    status: int
    code: str | None = None
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class BaseHandler(BaseHTTPRequestHandler):
    """Answers one request; `routes` maps method and pattern of the quoted path to what answers."""

    hub: ClassVar[LoopbackHub]
    routes: ClassVar[dict[str, str]] = {}
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two packets, and the second would wait for 40 ms
    body: bytes = b""

    def do_GET(self) -> None:
        """Answer, and record what was asked."""
        path = unquote(urlsplit(self.path).path)
        asked = (self.headers.get(name) for name in ("Range", "Authorization"))
        self.hub.requests.append(Request(self.command, path, *asked))
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.answer()
        except Refused as refused:
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message, **refused.headers}
            present = {name: value for name, value in headers.items() if value}
            self.reply_json({"error": refused.message}, refused.status, present)

    # The names that http.server calls.
    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def answer(self) -> None:
        """Route by the path while it is still quoted: a branch may hold a slash, which travels as %2F."""
        if (failure := self.hub.next_failure()) is not None:
            later = {"Retry-After": self.hub.retry_after} if failure == 429 and self.hub.retry_after else {}
            raise Refused(failure, headers=later)
        if not self.headers.get("Authorization", "Bearer hf_").startswith("Bearer hf_"):
            raise Refused(401, None, "Invalid credentials in Authorization header")
        method = "GET" if self.command == "HEAD" else self.command
        for route, function in self.routes.items():
            if match := re.fullmatch(route, f"{method} {urlsplit(self.path).path}"):
                parts = {key: value and unquote(value) for key, value in match.groupdict().items()}
                getattr(self, function)(**parts)
                return
        raise Refused(404)

    @property
    def query(self) -> dict[str, str]:
        """What stands after the question mark, one value for each name."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body or b"{}")

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
