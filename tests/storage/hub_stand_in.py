"""A stand-in for the hub's HTTP interface on the loopback address: enough of it to publish, list and download, and to fail.

Files are kept in memory, by commit. `HubStandIn.faults` holds, by the end of a file's path, what will go wrong with the next
transfers of that file, an entry for each.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import unquote

Fault = Literal["drop", "truncate", "corrupt", "refuse", "slow"]

BODY_LIMIT = 64 << 20


class HubStandIn:
    """One dataset repository, and its web server."""

    def __init__(self, repository: str = "someone/zoo", *, exists: bool = True) -> None:
        self.repository = repository
        self.exists = exists
        self.commits: dict[str, dict[str, bytes]] = {"0" * 40: {}}
        self.head = "0" * 40
        self.tags: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.mirrored: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.large: dict[str, bytes] = {}
        self.transfers: dict[str, int] = defaultdict(int)
        self.address = ""

    @contextmanager
    def serving(self) -> Iterator[HubStandIn]:
        """Serve until the block ends."""
        handler = type("Handler", (_Handler,), {"hub": self})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            self.address = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join(timeout=5)

    def commit(self, files: dict[str, bytes]) -> str:
        """Add files to what the newest commit has; returns the new commit."""
        content = self.commits[self.head] | files
        name = hashlib.sha1(repr(sorted((p, hashlib.sha256(b).digest()) for p, b in content.items())).encode()).hexdigest()
        self.commits[name] = content
        self.head = name
        return name

    def revision(self, name: str) -> str | None:
        """The commit that a revision means: a branch, a tag or a commit."""
        known = {"main": self.head, **self.tags, **{commit: commit for commit in self.commits}}
        return known.get(name)

    def listing(self, revision: str, folder: str) -> list[dict[str, object]]:
        """The files and folders directly in a folder of a revision."""
        below = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, object]] = {}
        for path, content in self.commits[self.revision(revision) or self.head].items():
            if path.startswith(below):
                name, rest = (below + path.removeprefix(below).partition("/")[0]), "/" in path.removeprefix(below)
                kind = {"type": "directory"} if rest else {"type": "file", "size": len(content)}
                entries[name] = {"path": name, "oid": hashlib.sha1(name.encode()).hexdigest(), **kind}
        return list(entries.values())

    def next_fault(self, path: str) -> Fault | None:
        for end, faults in self.faults.items():
            if path.endswith(end) and faults:
                return faults.pop(0)
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_HEAD(self) -> None:
        self._file(with_body=False)

    def do_GET(self) -> None:
        path = self._seen()
        repository = f"/api/datasets/{self.hub.repository}"
        if path.startswith("/api/datasets/") and not (self.hub.exists and path.startswith(repository)):
            self._error(404, "RepoNotFound")
        elif path == f"{repository}/refs":
            tags = [{"name": t, "ref": f"refs/tags/{t}", "targetCommit": c} for t, c in self.hub.tags.items()]
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": self.hub.head}
            self._json({"branches": [branch], "converts": [], "tags": tags})
        elif path == repository or path.startswith(f"{repository}/revision/"):
            self._json({"id": self.hub.repository, "sha": self.hub.head, "tags": [], "siblings": [], "private": False})
        elif listed := re.fullmatch(rf"{repository}/tree/([^/]+)/?(.*)", path):
            self._json(self.hub.listing(listed[1], unquote(listed[2])))
        elif path in self.hub.mirrored:
            self._send(200, self.hub.mirrored[path])
        else:
            self._file(with_body=True)

    def do_POST(self) -> None:
        path = self._seen()
        body = self.rfile.read(min(int(self.headers["Content-Length"]), BODY_LIMIT))
        if path == "/api/repos/create":
            self.hub.exists = True
            self._json({"url": f"{self.hub.address}/datasets/{self.hub.repository}", "name": self.hub.repository})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [(f["path"], "lfs" if f["path"].endswith((".h5", ".parquet")) else "regular") for f in files]
            self._json({"files": [{"path": p, "uploadMode": m, "shouldIgnore": False, "oid": None} for p, m in modes]})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [(o["oid"], o["size"]) for o in json.loads(body)["objects"]]
            actions = [
                {"oid": oid, "size": size, "actions": {"upload": {"href": f"{self.hub.address}/large/{oid}"}}}
                for oid, size in objects
            ]
            self._json({"transfer": "basic", "objects": actions})
        elif "/commit/" in path:
            self._commit([json.loads(line) for line in body.splitlines()])
        elif "/tag/" in path:
            name = json.loads(body)["tag"]
            if name in self.hub.tags:
                self._error(409, "TagExists")
                return
            self.hub.tags[name] = self.hub.revision(path.rpartition("/")[2]) or self.hub.head
            self._json({})
        else:
            self._error(404, "Unknown")

    def do_PUT(self) -> None:
        oid = self._seen().rpartition("/")[2]
        content = self.rfile.read(min(int(self.headers["Content-Length"]), BODY_LIMIT))
        if self.hub.next_fault("upload") == "refuse":
            self._error(403, "Refused")  # a 5xx would be tried again for most of a minute
        elif hashlib.sha256(content).hexdigest() != oid:
            self._error(400, "WrongChecksum")
        else:
            self.hub.large[oid] = content
            self._send(200, b"")

    def _commit(self, lines: list[dict]) -> None:
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        name = self.hub.commit(files)
        self._json({"commitUrl": f"{self.hub.address}/datasets/{self.hub.repository}/commit/{name}", "commitOid": name})

    def _file(self, *, with_body: bool) -> None:
        path = self._seen() if not with_body else self.path.partition("?")[0]
        matched = re.fullmatch(rf"/datasets/{self.hub.repository}/resolve/([^/]+)/(.+)", path)
        commit = self.hub.revision(matched[1]) if matched else None
        if matched is None or commit is None:
            self._error(404, "RevisionNotFound")
            return
        content = self.hub.commits[commit].get(matched[2])
        if content is None:
            self._error(404, "EntryNotFound")
            return
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not with_body:
            self._send(200, content, headers, head=True)
            return
        self.hub.transfers[matched[2]] += 1
        fault = self.hub.next_fault(matched[2])
        if fault == "refuse":
            self._error(503, "Refused")
            return
        if fault == "slow":
            time.sleep(1)
        if fault == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault == "truncate":
            content = content[: len(content) // 2]
        status = 200
        if ranged := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(ranged[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        self._send(status, content, headers, keep=len(content) // 2 if fault == "drop" else None)

    def _seen(self) -> str:
        path = self.path.partition("?")[0]
        self.hub.requests.append((self.command, path))
        return path

    def _json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "Content-Type": "application/json"})

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, head: bool = False, keep: int | None = None
    ) -> None:
        """Send an answer; with ``keep``, only that many bytes of the announced body."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not head and self.command != "HEAD":
            self.wfile.write(body if keep is None else body[:keep])
        if keep is not None:
            self.close_connection = True
            self.wfile.flush()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base class's name
        """Keep the tests' output quiet."""
