"""ModelScope on loopback: the part of its protocol that lists and sends the files of models.

Modelled on what ``modelscope_hub`` 0.5 asks for, which downloads from it. As there, files in LFS
come from another host, ``localhost``, which takes ranges and gets no token; small ones ignore
ranges; a revision that does not exist has null for files.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.hub_server import LFS_SUFFIXES, TOKEN, Handler, HubServer, serving


@contextmanager
def modelscope_server() -> Iterator[HubServer]:
    """A hub that runs inside a ``with`` block."""
    with serving(_Handler) as hub:
        hub.branch = "master"
        yield hub


class _Handler(Handler):
    def answer(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match unquote(url.path).strip("/").split("/"):
            case ["api", "v1", "models", owner, name, "repo", "files"]:
                self._list(f"{owner}/{name}", query)
            case ["api", "v1", "models", owner, name, "repo"]:
                self._file(f"{owner}/{name}", query)
            case ["cdn", sha256, *_]:
                self.send_file(*self.hub.blob(sha256), {"ETag": f'"{sha256}"'})
            case _:
                self.send(404, b"404 page not found")

    def _list(self, repo: str, query: dict[str, str]) -> None:
        if not self._may_read(repo):
            return
        commit = self.hub.commit_of(repo, query["Revision"])
        files = None if commit is None else self._entries(repo, commit)
        self._json(200, {"Code": 200, "Data": {"Files": files}, "Message": "success"})

    def _entries(self, repo: str, commit: str) -> list[dict[str, Any]]:
        files = self.hub.files_of(repo, commit)
        folders = {path.rpartition("/")[0] for path in files} - {""}
        entries: list[dict[str, Any]] = [
            {"Name": path, "Path": path, "Type": "tree", "Size": 0, "Sha256": ""}
            for path in folders
        ]
        for path, data in files.items():
            sha256 = None if self.hub.hides_checksums else hashlib.sha256(data).hexdigest()
            entries.append(
                {
                    "CommitMessage": "upload",
                    "IsLFS": path.endswith(LFS_SUFFIXES),
                    "Mode": "33188",
                    "Name": path.rpartition("/")[2],
                    "Path": path,
                    "Revision": commit,
                    "Sha256": sha256,
                    "Size": self.hub.size(path, data),
                    "Type": "blob",
                }
            )
        return entries

    def _file(self, repo: str, query: dict[str, str]) -> None:
        if not self._may_read(repo):
            return
        path = query["FilePath"]
        commit = self.hub.commit_of(repo, query["Revision"])
        data = self.hub.files_of(repo, commit).get(path) if commit else None
        if data is None:
            self._refuse(404, 10990101007, "获取模型文件失败，文件内容为空")
        elif path.endswith(LFS_SUFFIXES):
            port = urlsplit(self.hub.url).port
            sha256 = hashlib.sha256(data).hexdigest()
            place = {"Location": f"http://localhost:{port}/cdn/{sha256}/{path}"}
            self.send(302, b"", place)
        else:
            self.send(200, self.hub.sent_instead.get(path, data))

    def _may_read(self, repo: str) -> bool:
        """Whether there is such a repository for this user; if not, the answer has been sent."""
        if not self.hub.has(repo):
            self._refuse(404, 10010205001, "获取模型信息失败，信息不存在")
        elif repo in self.hub.gated and self.headers.get("Cookie") != f"m_session_id={TOKEN}":
            self._refuse(403, 10010205003, "无访问权限")
        else:
            return True
        return False

    def _refuse(self, status: int, code: int, message: str) -> None:
        self._json(status, {"Code": code, "Message": message, "RequestId": "1", "Success": False})

    def _json(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps({"Success": True, "RequestId": "1"} | value, ensure_ascii=False).encode()
        self.send(status, body, {"Content-Type": "application/json; charset=utf-8"})
