"""A stand-in of wandb's service on this machine: takes what wandb's own client sends, and remembers it.

It answers the requests that wandb 0.31 makes to sync runs with files and artifacts and to save a dashboard; it
checks nothing, and shows nothing. What a browser would show is not known here.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0" * 40
ENTITY = "lab"


class Service(ThreadingHTTPServer):
    """``asked``: (operation, variables) of GraphQL in order; ``streams``: run -> bodies; ``uploads``: name -> bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.streams: dict[str, list[dict[str, Any]]] = {}
        self.uploads: dict[str, bytes] = {}
        self.refuses: set[str] = set()  # operations that fail
        self.views: dict[str, dict[str, Any]] = {}
        self.has_project = True

    def of(self, operation: str) -> list[dict[str, Any]]:
        return [variables for name, variables in self.asked if name == operation]

    def answer(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((name, variables))
        if name in self.refuses:
            return {"errors": [{"message": f"{name} is refused"}]}
        return {"data": self.data_of(name, variables)}

    def data_of(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked.get("input") or {}
        if name == "UpsertBucket":
            project = {"id": "P", "name": asked["project"], "entity": {"id": "E", "name": ENTITY}}
            bucket = {"id": asked["name"], "name": asked["name"], "displayName": asked["displayName"],
                      "description": "", "config": "{}", "sweepName": None, "project": project,
                      "historyLineCount": 0}  # fmt: skip
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "NotifyScriptableRunAlert":
            return {"notifyScriptableRunAlert": {"success": True}}
        if name == "CreateArtifact":
            artifact = {"id": given["digest"], "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
            return {"createArtifact": {"artifact": artifact}}
        if name == "ArtifactType":
            return {"project": None}
        if name in ("CreateArtifactManifest", "UpdateArtifactManifest"):
            of = asked.get("artifactID", asked.get("artifactManifestID"))
            file = {"id": "F", "name": "m", "displayName": "m", "uploadUrl": self.place(f"manifest-{of}")}
            return {name[0].lower() + name[1:]: {"artifactManifest": {"id": of, "file": {**file, "uploadHeaders": []}}}}
        if name == "CreateArtifactFiles":
            edges = [{"node": self.artifact_file(file)} for file in given["artifactFiles"]]
            return {"createArtifactFiles": {"files": {"edges": edges}}}
        if name == "CommitArtifact":
            return {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": asked["artifactID"]}}}
        if name == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": self.place(file)} for file in asked["files"]]
            return {"createRunFiles": {"runID": asked["run"], "uploadHeaders": [], "files": files}}
        if name in ("Viewer", "GetDefaultEntity"):
            return {"viewer": {"id": "U", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}
        if name == "View":
            node = self.views.get(asked["viewName"])
            return {"project": {"allViews": {"edges": [{"node": node}] if node else []}} if self.has_project else None}
        if name == "UpsertView2":
            known = {"id": f"id of {asked['name']}", "displayName": asked["displayName"], "spec": asked["spec"]}
            self.views[asked["name"]] = known
            return {"upsertView": {"view": {"id": known["id"], "name": asked["name"]}, "inserted": True}}
        return {}

    def artifact_file(self, file: dict[str, Any]) -> dict[str, Any]:
        name = file["name"]
        return {"id": "F", "name": name, "displayName": name, "storagePath": name, "uploadUrl": self.place(name),
                "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": file["artifactID"]}}  # fmt: skip

    def place(self, name: str) -> str:
        return f"{self.url}/up/{name}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal of the tests."""

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _send(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._send({})

    def do_PUT(self) -> None:
        self.server.uploads[self.path.removeprefix("/up/")] = self._body()
        self._send({})

    def do_POST(self) -> None:
        content = self._body()
        if self.path == "/graphql":
            body = json.loads(content)
            named = body.get("operationName") or re.search(r"(?:query|mutation)\s+(\w+)", body["query"]).group(1)
            self._send(self.server.answer(named, body.get("variables") or {}))
        else:
            if self.path.endswith("/file_stream"):  # /files/<entity>/<project>/<run>/file_stream
                self.server.streams.setdefault(self.path.split("/")[-2], []).append(json.loads(content))
            self._send({})


@contextmanager
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
