"""A server on this machine that speaks as much of the Hugging Face hub's API as its client needs.

Repositories with commits, branches and files (regular ones and large ones, which are stored by
their digest and served with ranges from a second place), tokens, and the failures of a real hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"
LARGE = 1000  # bytes from which a file is a large one here; 10 MB on the hub


@dataclass
class Repository:
    """Commits, each with all its files; the last is ``main``."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes]) -> str:
        """Add files to what is there, as a commit of its own, and return its name."""
        whole = {**(self.commits[-1][1] if self.commits else {}), **files}
        parts = [f"{name} {hashlib.sha1(data).hexdigest()}" for name, data in sorted(whole.items())]
        sha = hashlib.sha1(f"{len(self.commits)} {parts}".encode()).hexdigest()
        self.commits.append((sha, whole))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((one for one in self.commits if one[0] == revision), None)


class LocalHub:
    """What the server holds, what was asked of it, and how it is to fail.

    Attributes:
        repositories: by ``OWNER/NAME``; ``large``: contents of large files by digest.
        asked: (method, path, range) of every request.
        status: answer everything with this status, and ``headers``; None answers properly.
        fail_at: only paths that contain this fail.
        cut_at: the line breaks after so many bytes of a file, ``cuts`` times.
        claimed: a size to state for every file in place of its own.
        stated: digests to state for large files, by path, in place of their own.
        lost: paths that are listed but cannot be had.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.status: int | None = None
        self.fail_at = ""
        self.headers: dict[str, str] = {}
        self.cut_at: int | None = None
        self.cuts = 1
        self.claimed: int | None = None
        self.stated: dict[str, str] = {}
        self.lost: set[str] = set()
        self.url = self.cdn = ""

    def create(self, repo: str, *, private: bool = False) -> Repository:
        self.repositories[repo] = made = Repository(private)
        made.commit({".gitattributes": b"*.ddset filter=lfs\n"})
        return made

    def put(self, repo: str, files: dict[str, bytes]) -> str:
        """Commit files to a repository as its owner would on the site; returns the commit."""
        if repo not in self.repositories:
            self.create(repo)
        return self.repositories[repo].commit(files)

    def digest(self, path: str, content: bytes) -> str:
        return self.stated.get(path) or hashlib.sha256(content).hexdigest()

    def gets(self) -> list[tuple[str, str | None]]:
        """Return path and range of every request that transfers a file."""
        parts = [(path, part) for method, path, part in self.asked if method == "GET"]
        return [(path, part) for path, part in parts if "/cdn/" in path or "/resolve/" in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LocalHub

    def log_message(self, *_: Any) -> None:
        pass

    # Answers

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def say(self, value: Any, status: int = 200, **headers: str) -> None:
        self.reply(status, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def refuse(self, status: int, code: str | None = None) -> None:
        self.say({"error": "no"}, status, **({"X_Error_Code": code} if code else {}))

    # Requests

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.body())

    def do_PUT(self) -> None:
        self.answer(self.body())

    def answer(self, body: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        if self.hub.status is not None and self.hub.fail_at in path:
            self.reply(self.hub.status, b'{"error": "no"}', **self.hub.headers)
            return
        for pattern, serve in ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                serve(self, body, *found.groups())
                return
        self.refuse(404)

    def trusted(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def repository(self, name: str, write: bool = False) -> Repository | None:
        """Return a repository that the caller may use, or refuse as the hub does."""
        found = self.hub.repositories.get(name)
        hidden = found is not None and found.private and not self.trusted()
        if found is None or hidden or (write and not self.trusted()):
            # To strangers the hub says 401, be the repository private or not there at all.
            self.refuse(404 if self.trusted() else 401, "RepoNotFound")
            return None
        return found

    # Read

    def info(self, _: bytes, name: str, revision: str | None) -> None:
        if (found := self.repository(name)) is None:
            return
        at = found.at(revision or "main")
        if at is None:
            self.refuse(404, "RevisionNotFound")
            return
        siblings = []
        for path, content in at[1].items():
            one = {"rfilename": path, "size": len(content), "blobId": "0" * 40}
            if len(content) >= LARGE:
                digest = self.hub.digest(path, content)
                one["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(one)
        self.say({"id": name, "sha": at[0], "tags": [], "siblings": siblings})

    def resolve(self, _: bytes, name: str, revision: str, path: str) -> None:
        if (found := self.repository(name)) is None:
            return
        at = found.at(revision)
        if at is None:
            self.refuse(404, "RevisionNotFound")
            return
        if path not in at[1] or path in self.hub.lost:
            self.refuse(404, "EntryNotFound")
            return
        content = at[1][path]
        size = str(self.hub.claimed or len(content))
        headers = {"X_Repo_Commit": at[0], "X_Linked_Size": size}
        if len(content) < LARGE:
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self.send_content(content, ETag=f'"{blob}"', **headers)
            return
        digest = self.hub.digest(path, content)
        self.hub.large[digest] = content
        place = f"{self.hub.cdn}/cdn/{digest}/{path.rpartition('/')[2]}"
        headers |= {"X_Linked_ETag": f'"{digest}"', "Location": place}
        self.reply(302, **headers)

    def from_cdn(self, _: bytes, digest: str) -> None:
        self.send_content(self.hub.large[digest], ETag=f'"{digest}"')

    def send_content(self, content: bytes, **headers: str) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        if asked:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["Accept_Ranges"] = "bytes"
        if self.command == "GET" and self.hub.cut_at is not None and self.hub.cuts > 0:
            self.hub.cuts -= 1
            self.send_response(206 if asked else 200)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : start + self.hub.cut_at])
            self.close_connection = True
            return
        self.reply(206 if asked else 200, content[start:], **headers)

    # Write

    def make(self, body: bytes) -> None:
        if not self.trusted():
            self.refuse(401)
            return
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        assert asked["type"] == "dataset"
        url = f"{self.hub.url}/datasets/{name}"
        if name in self.hub.repositories:
            self.say({"error": "You already created this dataset repo", "url": url}, 409)
            return
        self.hub.create(
            name, private=asked.get("visibility") == "private" or bool(asked.get("private"))
        )
        self.say({"url": url, "name": name})

    def validate(self, body: bytes) -> None:
        from tests.helpers.hub_cards import faults  # which needs a parser of YAML

        found = [{"message": text} for text in faults(json.loads(body)["content"])]
        self.say({"errors": found, "warnings": []}, 400 if found else 200)

    def preupload(self, body: bytes, name: str) -> None:
        if (found := self.repository(name, write=True)) is None:
            return
        there = found.at("main")
        assert there is not None
        out = []
        for file in json.loads(body)["files"]:
            mode = "lfs" if file["size"] >= LARGE else "regular"
            old = there[1].get(file["path"])
            oid = None
            if old is not None and mode == "lfs":
                oid = hashlib.sha256(old).hexdigest()
            elif old is not None:
                oid = hashlib.sha1(b"blob %d\0" % len(old) + old).hexdigest()
            one = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            out.append(one | ({"oid": oid} if oid else {}))
        self.say({"files": out})

    def batch(self, body: bytes, name: str) -> None:
        if self.repository(name, write=True) is None:
            return
        objects = []
        for one in json.loads(body)["objects"]:
            objects.append({"oid": one["oid"], "size": one["size"]})
            if one["oid"] not in self.hub.large:
                upload = {"href": f"{self.hub.url}/lfs/{one['oid']}"}
                objects[-1]["actions"] = {"upload": upload}
        self.say({"transfer": "basic", "objects": objects})

    def upload(self, body: bytes, digest: str) -> None:
        assert hashlib.sha256(body).hexdigest() == digest
        self.hub.large[digest] = body
        self.reply(200)

    def commit(self, body: bytes, name: str, revision: str) -> None:
        if (found := self.repository(name, write=True)) is None:
            return
        head, *parts = [json.loads(line) for line in body.splitlines()]
        assert head["key"] == "header"
        assert revision == "main"
        if head["value"].get("parentCommit", found.commits[-1][0]) != found.commits[-1][0]:
            self.refuse(412)
            return
        files = {}
        for part in parts:
            value = part["value"]
            if part["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                assert part["key"] == "lfsFile"
                files[value["path"]] = self.hub.large[value["oid"]]
        sha = found.commit(files)
        url = f"{self.hub.url}/datasets/{name}/commit/{sha}"
        self.say({"commitUrl": url, "commitOid": sha, "success": True})


REPO = r"([\w.-]+/[\w.-]+)"
ROUTES = [
    (rf"GET /api/datasets/{REPO}(?:/revision/([^/]+))?", Handler.info),
    (rf"(?:GET|HEAD) /datasets/{REPO}/resolve/([^/]+)/(.+)", Handler.resolve),
    (r"(?:GET|HEAD) /cdn/([0-9a-f]{64})/[^/]+", Handler.from_cdn),
    (r"POST /api/repos/create", Handler.make),
    (r"POST /api/validate-yaml", Handler.validate),
    (rf"POST /api/datasets/{REPO}/preupload/main", Handler.preupload),
    (rf"POST /datasets/{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    (r"PUT /lfs/([0-9a-f]{64})", Handler.upload),
    (rf"POST /api/datasets/{REPO}/commit/([^/]+)", Handler.commit),
]


@contextmanager
def serving() -> Iterator[LocalHub]:
    """Run the server for the length of the block, at ``hub.url``."""
    hub = LocalHub()
    handler = type("HandlerOfOneHub", (Handler,), {"hub": hub})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{listening.server_port}"
    hub.cdn = f"http://localhost:{listening.server_port}"  # another host to the client
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def environment(hub: LocalHub, home: Path) -> dict[str, str]:
    """Return the variables with which the hub's client, here or in a process, asks this server."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",  # a protocol of its own, which this server does not speak
        "NO_PROXY": "127.0.0.1,localhost",
    }
