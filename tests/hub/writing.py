"""What a loopback Hub lets a client change: repositories, commits, large files, branches, pull requests.

Large files come by git LFS. The newer way, Xet, is not spoken here: clients need `HF_HUB_DISABLE_XET=1`.
"""

import base64
import json
from collections.abc import Callable
from typing import Any, ClassVar

from .http_handler import BaseHandler, Refused
from .repositories import PullRequest, Repo, Tree, blob_id, is_large, sha256

ATTRIBUTES = b"*.zip filter=lfs diff=lfs merge=lfs -text\n"
_MODEL = r"/api/models/(?P<repo_id>[^/]+/[^/]+)"


class Writing(BaseHandler):
    """The routes that change something, for holders of the token only."""

    routes: ClassVar[dict[str, str]] = {
        r"POST /api/repos/create": "create",
        r"DELETE /api/repos/delete": "delete",
        r"POST /api/validate-yaml": "validate_yaml",
        rf"POST {_MODEL}/preupload/(?P<revision>[^/]+)": "preupload",
        rf"POST {_MODEL}/commit/(?P<revision>[^/]+)": "commit",
        rf"POST {_MODEL}/branch/(?P<name>[^/]+)": "branch",
        rf"POST {_MODEL}/tag/(?P<revision>[^/]+)": "tag",
        rf"GET {_MODEL}/discussions": "list_discussions",
        rf"POST {_MODEL}/discussions": "open_discussion",
        rf"GET {_MODEL}/discussions/(?P<number>\d+)": "discussion",
        rf"POST {_MODEL}/discussions/(?P<number>\d+)/merge": "merge",
        r"POST /(?P<repo_id>[^/]+/[^/]+)\.git/info/lfs/objects/batch": "lfs_batch",
        r"PUT /lfs/(?P<oid>[0-9a-f]{64})": "lfs_upload",
        r"POST /lfs/verify": "lfs_verify",
    }

    def create(self) -> None:
        """Make a repository, with the commit that every repository on the Hub begins with."""
        self.require_token()
        asked = self.json
        repo_id = f"{asked.get('organization') or self.hub.user}/{asked['name']}"
        answer = {"url": f"{self.hub.endpoint}/{repo_id}", "name": repo_id}
        if repo_id in self.hub.repos:
            self.reply_json(answer | {"error": "You already created this model repo"}, 409)
            return
        repo = self.hub.repos[repo_id] = Repo()
        repo.commit({".gitattributes": ATTRIBUTES}, "main")
        if asked.get("private") or asked.get("visibility") == "private":
            self.hub.private.add(repo_id)
        self.reply_json(answer)

    def delete(self) -> None:
        """Remove a repository."""
        self.require_token()
        asked = self.json
        repo_id = f"{asked.get('organization') or self.hub.user}/{asked['name']}"
        self.find(repo_id, "main")
        del self.hub.repos[repo_id]
        self.reply_json({})

    def validate_yaml(self) -> None:
        """Say whether a model card's metadata is in order, which the test decides; the real Hub looks."""
        errors = [{"message": message} for message in self.hub.card_errors]
        self.reply_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def preupload(self, repo_id: str, revision: str) -> None:
        """Say which files shall come by LFS, and what the repository has of them."""
        self.require_token()
        _, tree = self.find(repo_id, revision)
        self.reply_json({"files": [_upload_mode(file["path"], tree) for file in self.json["files"]]})

    def lfs_batch(self, repo_id: str) -> None:
        """Say where large files are to be put; what is here already need not come again."""
        self.require_token()
        self.find(repo_id, "main")
        self.reply_json(
            {
                "transfer": "basic",
                "objects": [self.lfs_object(o["oid"], o["size"]) for o in self.json["objects"]],
            }
        )

    def lfs_object(self, oid: str, size: int) -> dict[str, Any]:
        """Describe where one large file is to be put."""
        actions = {
            "upload": {"href": f"{self.hub.endpoint}/lfs/{oid}", "header": {}},
            "verify": {"href": f"{self.hub.endpoint}/lfs/verify", "header": {}},
        }
        known = {} if oid in self.hub.objects else {"actions": actions}
        return {"oid": oid, "size": size, "authenticated": True, **known}

    def lfs_upload(self, oid: str) -> None:
        """Take a large file; where it is sent to, nobody asks for a token."""
        if sha256(self.body) != oid:
            raise Refused(400, None, "The content does not match its SHA-256")
        self.hub.objects[oid] = self.body
        self.reply(200, b"", {})

    def lfs_verify(self) -> None:
        """Say whether a large file arrived."""
        self.require_token()
        if len(self.hub.objects.get(self.json["oid"], b"")) != self.json["size"]:
            raise Refused(404, None, "Object does not exist")
        self.reply_json({})

    def commit(self, repo_id: str, revision: str) -> None:
        """Make a commit on a branch, or a pull request with it."""
        self.require_token()
        parent, tree = self.find(repo_id, revision)
        header, *operations = (json.loads(line) for line in self.body.splitlines())
        if header["value"].get("parentCommit") not in (None, parent):
            raise Refused(412, None, "A commit has happened since. Please refresh and try again.")
        repo, changed = self.hub.repos[repo_id], dict(tree)
        for operation in operations:
            self.change(changed, operation["key"], operation["value"])
        answer, ref = {}, revision
        if self.query.get("create_pr") == "1":
            opened = repo.open_pull_request(header["value"]["summary"])
            answer["pullRequestUrl"] = f"{self.hub.endpoint}/{repo_id}/discussions/{opened.number}"
            ref = f"refs/pr/{opened.number}"
        oid = repo.commit(changed, ref)
        url = f"{self.hub.endpoint}/{repo_id}/commit/{oid}"
        self.reply_json({"success": True, "commitUrl": url, "commitOid": oid, **answer})

    def change(self, tree: Tree, key: str, value: dict[str, Any]) -> None:
        """Apply one operation of a commit."""
        path = value["path"]
        if key == "file":
            tree[path] = base64.b64decode(value["content"])
        elif key == "lfsFile" and value["oid"] in self.hub.objects:
            tree[path] = self.hub.objects[value["oid"]]
        elif key == "deletedFile" and path in tree:
            del tree[path]
        elif key == "deletedFolder" and (below := [name for name in tree if name.startswith(path)]):
            for name in below:
                del tree[name]
        elif key.startswith("deleted"):
            raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
        else:
            raise Refused(400, None, f"{key} {path} cannot be committed")

    def branch(self, repo_id: str, name: str) -> None:
        """Make a branch."""
        self.refer(repo_id, name, self.json.get("startingPoint") or "main")

    def tag(self, repo_id: str, revision: str) -> None:
        """Make a tag."""
        name = self.json["tag"]
        self.refer(repo_id, name, revision)
        self.hub.repos[repo_id].tags.add(name)

    def refer(self, repo_id: str, name: str, revision: str) -> None:
        """Let a new name point to a commit."""
        self.require_token()
        commit, _ = self.find(repo_id, revision)
        refs = self.hub.repos[repo_id].refs
        if name in refs:
            raise Refused(409, None, f"Reference {name} already exists")
        refs[name] = commit
        self.reply_json({})

    def list_discussions(self, repo_id: str) -> None:
        """List the pull requests: there are no other discussions here."""
        self.find(repo_id, "main")
        found = [self.described(repo_id, pull) for pull in self.hub.repos[repo_id].pull_requests]
        wanted = [one for one in found if self.query.get("status", "all") in ("all", one["status"])]
        self.reply_json({"discussions": wanted, "count": len(wanted), "start": 0})

    def open_discussion(self, repo_id: str) -> None:
        """Open a pull request without a commit."""
        self.require_token()
        self.find(repo_id, "main")
        self.reply_json({"num": self.hub.repos[repo_id].open_pull_request(self.json["title"]).number})

    def discussion(self, repo_id: str, number: str) -> None:
        """Tell about a pull request."""
        self.on_pull_request(repo_id, number, lambda pull: self.described(repo_id, pull))

    def merge(self, repo_id: str, number: str) -> None:
        """Let `main` point to what a pull request has."""
        self.require_token()

        def merged(pull: PullRequest) -> dict[str, Any]:
            refs = self.hub.repos[repo_id].refs
            refs["main"], pull.status = refs[f"refs/pr/{pull.number}"], "merged"
            return {}

        self.on_pull_request(repo_id, number, merged)

    def on_pull_request(
        self, repo_id: str, number: str, answer: Callable[[PullRequest], dict[str, Any]]
    ) -> None:
        """Answer about a pull request, if there is such a one."""
        self.find(repo_id, "main")
        for pull in self.hub.repos[repo_id].pull_requests:
            if pull.number == int(number):
                self.reply_json(answer(pull))
                return
        raise Refused(404, None, "Discussion not found")

    def described(self, repo_id: str, pull: PullRequest) -> dict[str, Any]:
        """Describe a pull request."""
        return {
            "num": pull.number,
            "title": pull.title,
            "status": pull.status,
            "author": {"name": self.hub.user},
            "createdAt": "2026-01-01T00:00:00.000Z",
            "repo": {"name": repo_id, "type": "model"},
            "isPullRequest": True,
            "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [],
            "events": [],
        }

    def require_token(self) -> None:
        """Refuse those who may not write."""
        if "Authorization" not in self.headers:
            raise Refused(401, None, "Invalid username or password.")
        if not self.authorized():
            raise Refused(403, None, "You have no permission to write here")


def _upload_mode(path: str, tree: Tree) -> dict[str, Any]:
    large = is_large(path)
    known = {"oid": (sha256 if large else blob_id)(tree[path])} if path in tree else {}
    return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, **known}
