"""A model hub on 127.0.0.1 that answers as much as ``huggingface_hub`` asks for a model.

``/api/models/REPO/revision/REVISION`` lists files, ``/REPO/resolve/REVISION/FILE`` gives one, with
the headers ``ETag`` and ``X-Repo-Commit``.  Faults can be set per file name.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

API = re.compile(r"/api/models/(?P<repo>[^/]+(?:/[^/]+)?)/revision/(?P<revision>.+)")
FILE = re.compile(r"/(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass(frozen=True)
class Request:
    """One request as the hub saw it; `path` has no host and no query."""

    method: str
    path: str
    token: str | None
    user_agent: str


@dataclass
class HubStub:
    """What the hub holds and how it misbehaves."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    private: dict[str, str] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    cut_off: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    stalled: set[str] = field(default_factory=set)
    status: int = 200
    go_on: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list)
    endpoint: str = ""

    def add(self, repo: str, folder: Path, extra: Mapping[str, bytes] = {}) -> None:
        """Publish a folder as `repo`; `extra` files come beside its own."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.repos[repo] = files | dict(extra)

    def commit(self, repo: str) -> str:
        """The commit that the repository's files make."""
        content = repr(sorted(self.repos[repo].items())).encode()
        return hashlib.sha1(content).hexdigest()

    def asked(self, method: str, suffix: str) -> int:
        """How many requests of `method` were for a path with that end."""
        return sum(r.method == method and r.path.endswith(suffix) for r in self.requests)


@contextmanager
def running_hub() -> Iterator[HubStub]:
    """Serve an empty hub until the block ends."""
    hub = HubStub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubStub

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        token = self.headers.get("Authorization")
        agent = self.headers.get("User-Agent", "")
        self.hub.requests.append(Request(self.command, path, token, agent))
        if self.hub.status != 200:
            self._answer(self.hub.status, b"{}")
        elif match := API.fullmatch(path):
            self._api(match["repo"], match["revision"])
        elif match := FILE.fullmatch(path):
            self._file(match["repo"], match["revision"], match["file"])
        else:
            self._answer(404, b"{}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _api(self, repo: str, revision: str) -> None:
        if self._known(repo, revision):
            names = [{"rfilename": name} for name in self.hub.repos[repo]]
            body = {"id": repo, "sha": self.hub.commit(repo), "siblings": names}
            self._answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _file(self, repo: str, revision: str, name: str) -> None:
        if not self._known(repo, revision):
            return
        commit = {"X-Repo-Commit": self.hub.commit(repo)}
        if repo in self.hub.gated:
            self._answer(403, b"{}", commit | {"X-Error-Code": "GatedRepo"})
        elif name not in self.hub.repos[repo]:
            self._answer(404, b"", commit | {"X-Error-Code": "EntryNotFound"})
        else:
            content = self.hub.repos[repo][name]
            etag = hashlib.sha256(content).hexdigest()
            if name in self.hub.damaged:
                content = bytes(len(content))
            self._answer(200, content, commit | {"ETag": f'"{etag}"'}, name)

    def _known(self, repo: str, revision: str) -> bool:
        needed = self.hub.private.get(repo)
        if needed and self.headers.get("Authorization") != f"Bearer {needed}":
            self._answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            return False
        if repo not in self.hub.repos:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return False
        known = ["main", self.hub.commit(repo), *self.hub.tags.get(repo, [])]
        if revision not in known:
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        return revision in known

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str] = {}, name: str = ""
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = body[: len(body) // 2]
        if name in self.hub.cut_off:
            self.wfile.write(half)
            self.close_connection = True
            return
        if name in self.hub.stalled:
            self.wfile.write(half)
            self.hub.began.set()
            self.hub.go_on.wait()
            body = body[len(half) :]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
