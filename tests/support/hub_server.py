"""A Hugging Face hub on loopback: the part of its protocol that huggingface_hub pulls models with.

Large files are in LFS, as there: their address redirects to another host name, ``localhost``, which
gets no token. What can go wrong on the way is set by attributes.
"""

import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"  # noqa: S105
CHUNK_BYTES = 2**14
"""What the tests' client writes at a time."""
LFS_SUFFIXES = (".safetensors", ".bin", ".gguf", ".model", ".onnx")

Files = dict[str, bytes]


@dataclass(frozen=True)
class Request:
    """A request that was answered; ``num_bytes`` is the body's, as far as it was sent."""

    method: str
    path: str
    range: str | None
    has_token: bool
    status: int
    num_bytes: int


@dataclass
class HubServer:
    """Repositories and what is to happen to requests.

    Attributes:
        gated: repositories whose files need TOKEN.
        cuts: by the end of a path, how many bytes of the next answers are sent before the
            connection breaks; each is used once.
        how: whether a connection that breaks is closed or reset.
        sent_instead: by path, what is sent in place of a file.
        sizes: by path, sizes to claim.
        status: what every request is answered with, if it is set.
        page: the body of that answer.
        branch: the default branch.
        hides_checksums: whether listings lack checksums, as ModelScope's may.
        bytes_per_second: how fast a file comes; 0 is as fast as can be.
    """

    url: str = ""
    gated: set[str] = field(default_factory=set)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    how: Literal["close", "reset"] = "close"
    sent_instead: Files = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    status: int | None = None
    page: bytes = b"no"
    branch: str = "main"
    hides_checksums: bool = False
    bytes_per_second: float = 0
    requests: list[Request] = field(default_factory=list)
    _commits: dict[tuple[str, str], Files] = field(default_factory=dict)
    _refs: dict[tuple[str, str], str] = field(default_factory=dict)

    def push(self, repo: str, files: Files, *, revision: str | None = None) -> str:
        """Make ``files`` what a repository holds at a revision, or ``branch``; the commit."""
        text = repr([(path, hashlib.sha1(data).hexdigest()) for path, data in files.items()])  # noqa: S324
        commit = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324
        self._commits[repo, commit] = files
        self._refs[repo, revision or self.branch] = commit
        return commit

    def push_folder(self, repo: str, folder: Path, **more: bytes) -> str:
        """The same with the files of a folder, and some ``more``."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        return self.push(repo, files | more)

    def commit_of(self, repo: str, revision: str) -> str | None:
        """What a branch, tag or commit stands for."""
        if (repo, revision) in self._commits:
            return revision
        return self._refs.get((repo, revision))

    def files_of(self, repo: str, commit: str) -> Files:
        """All files at a commit."""
        return self._commits[repo, commit]

    def has(self, repo: str) -> bool:
        """Whether there is such a repository."""
        return any(known == repo for known, _ in self._refs)

    def size(self, path: str, data: bytes) -> int:
        """The size to tell of a file."""
        return self.sizes.get(path, len(data))

    def blob(self, sha256: str) -> tuple[str, bytes]:
        """The path and content of a file in LFS."""
        for files in self._commits.values():
            for path, data in files.items():
                if hashlib.sha256(data).hexdigest() == sha256:
                    return path, data
        raise KeyError(sha256)

    def bodies(self, suffix: str) -> list[tuple[str | None, int]]:
        """Range and number of bytes of all answers that brought a file, by the end of its path."""
        return [
            (request.range, request.num_bytes)
            for request in self.requests
            if request.method == "GET" and request.path.endswith(suffix) and request.num_bytes
        ]

    def paths(self) -> set[str]:
        """Paths of files that were sent, in their repositories."""
        sent = (r.path for r in self.requests if r.method == "GET" and r.status in {200, 206})
        paths = (path.partition("/resolve/")[2] or path.partition("/cdn/")[2] for path in sent)
        return {path.partition("/")[2] for path in paths if path}


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A hub that runs inside a ``with`` block."""
    with serving(_HuggingFaceHandler) as hub:
        yield hub


@contextmanager
def serving(kind: "type[Handler]") -> Iterator[HubServer]:
    """A hub whose requests are answered by a ``kind`` of handler, inside a ``with`` block."""
    hub = HubServer()
    handler = type("BoundHandler", (kind,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """Sends what ``answer()`` finds, broken off where the hub says so."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def answer(self) -> None:
        """Answer the request."""
        raise NotImplementedError

    def _answer(self) -> None:
        if self.hub.status is not None:
            self.send(self.hub.status, self.hub.page)
        else:
            self.answer()

    def send_file(self, path: str, data: bytes, headers: dict[str, str]) -> None:
        """Send a file, or the range of it that is asked for."""
        data = self.hub.sent_instead.get(path, data)
        headers |= {"Accept-Ranges": "bytes"}
        given = self.headers.get("Range")
        if given is None:
            self.send(200, data, headers)
            return
        start = int(given.removeprefix("bytes=").partition("-")[0])
        if start >= len(data):
            self.send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send(206, data[start:], headers)

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer, and note it."""
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        sent = b"" if self.command == "HEAD" else body
        cuts = next((c for end, c in self.hub.cuts.items() if self.path.endswith(end)), [])
        is_cut = bool(cuts and sent)
        if is_cut:
            sent = sent[: cuts.pop(0)]
        self.hub.requests.append(
            Request(
                self.command,
                unquote(self.path),
                self.headers.get("Range"),
                "Authorization" in self.headers,
                status,
                len(sent),
            )
        )
        self.end_headers()  # noted before: with them a HEAD is answered
        self._write(sent)
        if is_cut:
            self._break()

    def _write(self, body: bytes) -> None:
        speed = self.hub.bytes_per_second
        with suppress(ConnectionError):  # a client that was stopped
            for start in range(0, len(body), CHUNK_BYTES):
                piece = body[start : start + CHUNK_BYTES]
                self.wfile.write(piece)
                self.wfile.flush()
                if speed:
                    time.sleep(len(piece) / speed)

    def _break(self) -> None:
        self.close_connection = True
        if self.hub.how == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


class _HuggingFaceHandler(Handler):
    def answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        match parts:
            case ["api", "models", owner, name, "revision", *rest]:
                self._info(f"{owner}/{name}", "/".join(rest))
            case ["api", "models", owner, name, "tree", *rest]:
                self._tree(f"{owner}/{name}", "/".join(rest))
            case [owner, name, "resolve", revision, *rest]:
                self._resolve(f"{owner}/{name}", revision, "/".join(rest))
            case ["cdn", sha256, *_]:
                self.send_file(*self.hub.blob(sha256), {"ETag": f'"{sha256}"'})
            case _:
                self.send(404, b"")

    def _commit(self, repo: str, revision: str) -> str | None:
        """The commit; None if the answer has been sent, as there is none."""
        if not self.hub.has(repo):
            # What the hub tells strangers: it might be private.
            self.send(401, b"", {"X-Error-Code": "RepoNotFound"})
            return None
        commit = self.hub.commit_of(repo, revision)
        if commit is None:
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        return commit

    def _info(self, repo: str, revision: str) -> None:
        commit = self._commit(repo, revision)
        if commit is None:
            return
        siblings = [{"rfilename": path} for path in self.hub.files_of(repo, commit)]
        value = {"_id": "1", "id": repo, "sha": commit, "siblings": siblings, "tags": []}
        self.send(200, json.dumps(value).encode())

    def _tree(self, repo: str, revision: str) -> None:
        commit = self._commit(repo, revision)
        if commit is None:
            return
        entries: list[dict[str, Any]] = []
        for path, data in self.hub.files_of(repo, commit).items():
            size = self.hub.size(path, data)
            entry: dict[str, Any] = {"type": "file", "path": path, "size": size}
            entry["oid"] = _git_id(data)
            if path.endswith(LFS_SUFFIXES):
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
            entries.append(entry)
        folders = {path.rpartition("/")[0] for path in self.hub.files_of(repo, commit)} - {""}
        entries += [{"type": "directory", "path": path, "oid": "0" * 40} for path in folders]
        self.send(200, json.dumps(entries).encode())

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        commit = self._commit(repo, revision)
        if commit is None:
            return
        if repo in self.hub.gated and not self._may_read():
            return
        data = self.hub.files_of(repo, commit).get(path)
        if data is None:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_id(data)}"'}
        if not path.endswith(LFS_SUFFIXES):
            self.send_file(path, data, headers)
            return
        sha256 = hashlib.sha256(data).hexdigest()
        port = urlsplit(self.hub.url).port
        headers |= {
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(self.hub.size(path, data)),
            "Location": f"http://localhost:{port}/cdn/{sha256}/{path}",
        }
        self.send(302, b"", headers)

    def _may_read(self) -> bool:
        """Whether the right token came; if not, the answer has been sent."""
        given = self.headers.get("Authorization")
        if given == f"Bearer {TOKEN}":
            return True
        headers = {"X-Error-Code": "GatedRepo"}
        if given is not None:
            headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
        self.send(401, b"", headers)
        return False


def _git_id(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()  # noqa: S324
