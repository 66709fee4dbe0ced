"""A repository on a model hub, over its HTTP interface: large files first, then one commit, a tag.

Large files go to the store behind the repository, where nobody sees them until a commit names
them; all the rest is in the commit. A version is the tag `v1.2.0` on it.

Source: the hub's API (preupload, commit, tag, refs, tree) and the Git LFS batch API.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from mlbuild.errors import Problem
from mlbuild.publishing import option
from mlbuild.release.publish.contents import CHUNK, Held, contents
from mlbuild.release.publish.http import Client, understood
from mlbuild.release.publish.protocol import (
    SIGNATURES,
    Bundle,
    Order,
    PublishError,
    differs,
    narrator,
    objection,
)
from mlbuild.release.publish.tokens import token
from mlbuild.release.publish.upload import Upload

_LFS = "application/vnd.git-lfs+json"
_LFS_HEADERS = {"Accept": _LFS, "Content-Type": _LFS}
_BRANCH = "main"
_SAMPLE = 512  # bytes that the hub decides by whether a file is large
_AT_ONCE = 100  # files in one question


class HuggingFace:
    """A model's repository on the hub."""

    def __init__(self, order: Order) -> None:
        self._order, spec = order, order.spec
        self.name = f"hub {spec['hub']}"
        self._hub = option(spec, "endpoint").rstrip("/")
        self._repo = str(spec["hub"])
        self._api = f"{self._hub}/api/models/{self._repo}"

    # --- the protocol ----------------------------------------------------------------------------

    def check(self, release: Bundle) -> str | None:
        """What would stand in the way; asks only."""
        return objection(lambda: self._look(release))

    @understood
    def stage(self, release: Bundle) -> None:
        """Sends the large files."""
        held = contents(release)
        if self._published(release, held):
            return
        large = self._large(held)
        tell = narrator(self.name, self._order.progress, sum(h.size for h in large))
        for one in large:
            self._client.until(
                lambda h=one: self._sent(h, tell),  # type: ignore[misc]
                f"sending {one.path}",
            )

    @understood
    def reveal(self, release: Bundle) -> str:
        """Commits everything in one step, looks at what the commit holds, and tags it."""
        held = contents(release)
        if not self._published(release, held):
            commit = self._client.until(lambda: self._committed(release, held), "the commit")
            self._client.until(lambda: self._tagged(release, commit), "the tag")
        return f"{self._hub}/{self._repo}/tree/v{release.version}"

    @cached_property
    def _client(self) -> Client:
        variable = option(self._order.spec, "token_env")
        secret = token(self.name, self._order.environ, variable, "the right to write")
        permission = {"Authorization": f"Bearer {secret}"}
        return Client(self.name, (self._hub,), permission, self._order.patience)

    @understood
    def _look(self, release: Bundle) -> None:
        if release.folder.is_dir():
            self._published(release, contents(release))
        elif self._refs("tags").get(f"v{release.version}"):
            raise PublishError(f"{self.name}: v{release.version} is published there already")

    # --- what is there ---------------------------------------------------------------------------

    def _refs(self, kind: str) -> dict[str, str]:
        """Commits by the names of tags or branches."""
        said = self._client.ask("GET", f"{self._api}/refs").json
        return {str(ref["name"]): str(ref["targetCommit"]) for ref in said.get(kind) or ()}

    def _tree(self, revision: str) -> dict[str, Any]:
        url = f"{self._api}/tree/{quote(revision, safe='')}?recursive=true"
        return {str(e["path"]): e for e in self._client.pages(url) if e["type"] == "file"}

    def _published(self, release: Bundle, held: Sequence[Held]) -> bool:
        """Whether the version's tag is there, with these very bytes."""
        if f"v{release.version}" not in self._refs("tags"):
            return False
        tree = self._tree(f"v{release.version}")
        for one in held:
            if one.path in SIGNATURES:
                continue
            if one.path not in tree:
                raise differs(self.name, release, one.path, "it is missing there")
            if not _right(tree[one.path], one):
                raise differs(self.name, release, one.path, "it differs")
        return True

    # --- large files -----------------------------------------------------------------------------

    def _large(self, held: Sequence[Held]) -> list[Held]:
        """The files that the hub wants in the store behind the repository."""
        modes: dict[str, str] = {}
        for begin in range(0, len(held), _AT_ONCE):
            files = [
                {"path": one.path, "size": one.size, "sample": _sample(one)}
                for one in held[begin : begin + _AT_ONCE]
            ]
            url = f"{self._api}/preupload/{_BRANCH}"
            said = self._client.ask("POST", url, json={"files": files}, harmless=True).json
            modes |= {str(f["path"]): str(f["uploadMode"]) for f in said["files"]}
        return [one for one in held if modes[one.path] == "lfs"]

    def _sent(self, one: Held, tell: Any) -> bool | None:
        """Asks for a place for a file, and sends it where it is missing; None: ask again."""
        wanted = {
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": [{"oid": one.sha256, "size": one.size}],
            "hash_algo": "sha256",
        }
        url = f"{self._hub}/{self._repo}.git/info/lfs/objects/batch"
        said = self._client.ask("POST", url, json=wanted, headers=_LFS_HEADERS, harmless=True)
        place = said.json["objects"][0]
        if place.get("error"):
            message = f"{self.name}: {one.path} was refused"
            raise PublishError(
                Problem(message, got=self._client.scrub(str(place["error"]["message"])))
            )
        actions = place.get("actions") or {}
        if "upload" not in actions:
            return True  # it is there: its name is its digest
        upload = actions["upload"]
        header = upload.get("header") or {}
        if "chunk_size" in header:
            self._in_parts(one, upload["href"], header, tell)
        else:
            body = Upload(one.file, one.size, lambda n: tell(n, one.path))
            self._client.send("PUT", upload["href"], body, 200, 201, headers=header)
        if "verify" in actions:
            self._client.ask(
                "POST",
                actions["verify"]["href"],
                json={"oid": one.sha256, "size": one.size},
                headers={**_LFS_HEADERS, **(actions["verify"].get("header") or {})},
            )
        return True

    def _in_parts(self, one: Held, finish: str, header: Mapping[str, str], tell: Any) -> None:
        size = int(header["chunk_size"])
        numbered = sorted((int(n), url) for n, url in header.items() if n.isdecimal())
        parts = []
        for number, url in numbered:
            start = (number - 1) * size
            part = min(size, one.size - start)
            body = Upload(one.file, part, lambda n: tell(n, one.path), start=start)
            answer = self._client.send("PUT", url, body, 200, headers={})
            parts.append({"partNumber": number, "etag": answer.headers.get("ETag", "")})
        said = {"oid": one.sha256, "parts": parts}
        self._client.ask("POST", finish, json=said, headers=_LFS_HEADERS)

    # --- the commit and its tag ------------------------------------------------------------------

    def _committed(self, release: Bundle, held: Sequence[Held]) -> str:
        """The commit that holds the release, made where there is none."""
        head, tree = self._standing()
        if _whole(tree, held):
            return head
        commit = self._commit(release, held, head, tree)
        if not _whole(self._tree(commit), held):  # looked at before it gets a tag
            raise PublishError(f"{self.name}: the commit {commit} holds other bytes: not tagged")
        return commit

    def _standing(self) -> tuple[str, dict[str, Any]]:
        head = self._refs("branches").get(_BRANCH)
        if head is None:
            raise PublishError(f"{self.name}: the repository has no branch '{_BRANCH}'")
        return head, self._tree(head)

    def _commit(
        self, release: Bundle, held: Sequence[Held], head: str, tree: Mapping[str, Any]
    ) -> str:
        large = {one.path for one in self._large(held)}
        old = {p for p in tree if p.startswith("artifacts/")} | (SIGNATURES & tree.keys())
        summary = f"{release.name} {release.version}"
        header = {"summary": summary, "description": release.notes, "parentCommit": head}
        lines = [{"key": "header", "value": header}]
        lines += [_line(one, large=one.path in large) for one in held]
        gone = sorted(old - {one.path for one in held})
        lines += [{"key": "deletedFile", "value": {"path": path}} for path in gone]
        answer = self._client.ask(
            "POST",
            f"{self._api}/commit/{_BRANCH}",
            data="".join(f"{json.dumps(line)}\n" for line in lines).encode(),
            headers={"Content-Type": "application/x-ndjson"},
        )
        return str(answer.json["commitOid"])

    def _tagged(self, release: Bundle, commit: str) -> bool | None:
        there = self._refs("tags").get(f"v{release.version}")
        if there == commit:
            return True
        if there is not None:
            raise PublishError(f"{self.name}: v{release.version} names another commit there")
        said = {"tag": f"v{release.version}", "message": release.tag}
        answer = self._client.ask(
            "POST", f"{self._api}/tag/{quote(commit, safe='')}", 200, 201, 409, json=said
        )
        return True if answer.status != 409 else None


def _sample(one: Held) -> str:
    with one.file.open("rb") as source:
        return base64.b64encode(source.read(_SAMPLE)).decode("ascii")


def _line(one: Held, *, large: bool) -> dict[str, Any]:
    if large:
        value = {"path": one.path, "algo": "sha256", "oid": one.sha256, "size": one.size}
        return {"key": "lfsFile", "value": value}
    content = base64.b64encode(one.file.read_bytes()).decode("ascii")
    return {"key": "file", "value": {"path": one.path, "content": content, "encoding": "base64"}}


def _whole(tree: Mapping[str, Any], held: Sequence[Held]) -> bool:
    return all(one.path in tree and _right(tree[one.path], one) for one in held)


def _right(entry: Any, one: Held) -> bool:
    """Whether an entry of a tree is the file: by SHA-256 if it is large, else as git names it."""
    if entry.get("lfs"):
        return bool(entry["lfs"]["oid"] == one.sha256 and entry["lfs"]["size"] == one.size)
    blob = hashlib.sha1(f"blob {one.size}\0".encode(), usedforsecurity=False)
    with one.file.open("rb") as source:
        while chunk := source.read(CHUNK):
            blob.update(chunk)
    return bool(entry["oid"] == blob.hexdigest())
