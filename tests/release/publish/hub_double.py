"""A model hub's HTTP interface: preupload, Git LFS batch, commit, tags, refs, tree."""

import base64
import hashlib
import json
from typing import Any

from tests.release.publish.double import Asked, Double, Said, demand

TOKEN = "hf_SecretSecretSecret"
REPO = "team/dogs"
_LFS = "application/vnd.git-lfs+json"


class HubDouble(Double):
    """One model's repository: commits are trees of path -> (bytes or None, sha256, size)."""

    def __init__(self) -> None:
        super().__init__()
        attributes = b"*.bin filter=lfs\n"
        self.commits: list[dict[str, Any]] = [{".gitattributes": attributes}]
        self.messages: list[str] = ["initial"]
        self.tags: dict[str, int] = {}
        self.store: dict[str, int] = {}  # sha256 -> size
        self.parts: dict[str, dict[int, bytes]] = {}
        self.chunk: int | None = None  # larger files go in parts
        self.rot = False
        self.page = 100
        api = f"/api/models/{REPO}"
        for method, path, do in (
            ("GET", f"{api}/refs", self.refs),
            ("GET", f"{api}/tree/:revision", self.tree),
            ("POST", f"{api}/preupload/main", self.preupload),
            ("POST", f"/{REPO}.git/info/lfs/objects/batch", self.batch),
            ("POST", "/lfs/verify", self.verify),
            ("POST", "/lfs/complete", self.complete),
            ("PUT", "/store/:oid", self.put),
            ("PUT", "/store/:oid/:part", self.put_part),
            ("POST", f"{api}/commit/main", self.commit),
            ("POST", f"{api}/tag/:revision", self.tag),
        ):
            self.route(method, path, do)

    def check(self, asked: Asked) -> None:
        sent = asked.headers.get("authorization")
        if asked.path.startswith("/store/"):
            demand(sent is None, "the token went to the storage")
        else:
            demand(sent == f"Bearer {TOKEN}", "wrong Authorization")

    @staticmethod
    def name(number: int) -> str:
        return f"{number:040x}"

    def number(self, revision: str) -> int:
        if revision in self.tags:
            return self.tags[revision]
        return len(self.commits) - 1 if revision == "main" else int(revision, 16)

    # --- reading ---------------------------------------------------------------------------------

    def refs(self, asked: Asked) -> Said:
        head = self.name(len(self.commits) - 1)
        tags = [
            {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": self.name(number)}
            for tag, number in self.tags.items()
        ]
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": head}
        return Said(200, {"branches": [main], "tags": tags, "converts": []})

    def tree(self, asked: Asked, revision: str) -> Said:
        demand(asked.query.get("recursive") == "true", "only the top would be listed")
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "artifacts", "oid": "0"}]
        for path, held in sorted(self.commits[self.number(revision)].items()):
            if isinstance(held, bytes):
                blob = hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()
                entries.append({"type": "file", "path": path, "oid": blob, "size": len(held)})
            else:
                oid, size = held
                lfs = {"oid": oid, "size": size, "pointerSize": 134}
                entries.append(
                    {"type": "file", "path": path, "oid": "p" * 40, "size": size, "lfs": lfs}
                )
        start = int(asked.query.get("cursor", 0))
        headers = {}
        if start + self.page < len(entries):
            url = f"{self.address}{asked.path}?recursive=true&cursor={start + self.page}"
            headers["Link"] = f'<{url}>; rel="next"'
        return Said(200, entries[start : start + self.page], headers=headers)

    # --- large files -----------------------------------------------------------------------------

    def preupload(self, asked: Asked) -> Said:
        files = asked.json["files"]
        for file in files:
            demand(set(file) == {"path", "size", "sample"}, "unknown keys of a file")
            demand(len(base64.b64decode(file["sample"])) == min(512, file["size"]), "the sample")
        modes = [
            {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".bin") else "regular"}
            for f in files
        ]
        return Said(200, {"files": modes})

    def batch(self, asked: Asked) -> Said:
        demand(asked.headers["accept"] == asked.headers["content-type"] == _LFS, "no LFS request")
        said = asked.json
        demand(said["operation"] == "upload" and said["hash_algo"] == "sha256", "operation")
        objects = []
        for one in said["objects"]:
            oid, size = one["oid"], one["size"]
            place = self.address.replace("127.0.0.1", "localhost")
            verify = {"href": f"{self.address}/lfs/verify"}
            upload: dict[str, Any] = {"href": f"{place}/store/{oid}?X-Amz-Signature=abc"}
            if self.chunk and size > self.chunk:
                demand("multipart" in said["transfers"], "parts are not understood")
                count = -(-size // self.chunk)
                urls = {str(n): f"{place}/store/{oid}/{n}" for n in range(1, count + 1)}
                header = {"chunk_size": str(self.chunk), **urls}
                upload = {"href": f"{self.address}/lfs/complete", "header": header}
            known = {} if oid in self.store else {"upload": upload, "verify": verify}
            objects.append({"oid": oid, "size": size, "actions": known})
        return Said(200, {"objects": objects})

    def put(self, asked: Asked, oid: str) -> Said:
        demand("content-length" in asked.headers, "no length")
        if asked.body.sha256 == oid:
            self.store[oid] = asked.body.size
        return Said(200)

    def put_part(self, asked: Asked, oid: str, part: str) -> Said:
        self.parts.setdefault(oid, {})[int(part)] = asked.body.data
        return Said(200, headers={"ETag": f'"{part}-{oid[:4]}"'})

    def complete(self, asked: Asked) -> Said:
        oid, parts = asked.json["oid"], asked.json["parts"]
        wanted = [{"partNumber": n, "etag": f'"{n}-{oid[:4]}"'} for n in sorted(self.parts[oid])]
        demand(parts == wanted, "the parts are not those that came")
        whole = b"".join(data for _, data in sorted(self.parts[oid].items()))
        demand(hashlib.sha256(whole).hexdigest() == oid, "the parts are not the file")
        self.store[oid] = len(whole)
        return Said(200, {"ok": True})

    def verify(self, asked: Asked) -> Said:
        if self.store.get(asked.json["oid"]) != asked.json["size"]:
            return Said(404, {"message": "the object is not there"})
        return Said(200)

    # --- commits ---------------------------------------------------------------------------------

    def commit(self, asked: Asked) -> Said:
        demand(asked.headers["content-type"] == "application/x-ndjson", "no lines of JSON")
        lines = [json.loads(line) for line in asked.body.data.splitlines()]
        header = lines[0]["value"]
        demand(lines[0]["key"] == "header" and header["summary"], "the header comes first")
        if header.get("parentCommit") != self.name(len(self.commits) - 1):
            return Said(412, {"error": "A commit has happened since"})
        tree = dict(self.commits[-1])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                demand(value["encoding"] == "base64", "encoding")
                data = base64.b64decode(value["content"])
                tree[value["path"]] = b"rot" if self.rot else data
            elif line["key"] == "lfsFile":
                demand(value["algo"] == "sha256", "algo")
                demand(self.store.get(value["oid"]) == value["size"], "no such object")
                tree[value["path"]] = (value["oid"], value["size"])
            else:
                demand(line["key"] == "deletedFile", f"unknown key {line['key']}")
                demand(tree.pop(value["path"], None) is not None, "nothing to delete")
        self.commits.append(tree)
        self.messages.append(header["summary"])
        return Said(200, {"success": True, "commitOid": self.name(len(self.commits) - 1)})

    def tag(self, asked: Asked, revision: str) -> Said:
        if asked.json["tag"] in self.tags:
            return Said(409, {"error": "Tag already exists"})
        self.tags[asked.json["tag"]] = self.number(revision)
        return Said(200)
