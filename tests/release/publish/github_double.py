"""GitHub's REST API for releases, as documented for version 2022-11-28."""

import re
from typing import Any
from urllib.parse import quote

from tests.release.publish.bundles import COMMIT
from tests.release.publish.double import Asked, Double, Said, demand

TOKEN = "ghp_SecretSecretSecret"
REPO = "/repos/owner/dogs"
_KEYS = {
    "tag_name": str,
    "target_commitish": str,
    "name": str,
    "body": str,
    "draft": bool,
    "prerelease": bool,
    "make_latest": str,
}


class GitHubDouble(Double):
    """Releases, assets, tags of one repository."""

    def __init__(self) -> None:
        super().__init__()
        self.releases: dict[int, dict[str, Any]] = {}
        self.assets: dict[int, dict[str, Any]] = {}
        self.owner: dict[int, int] = {}  # asset -> release
        self.bytes: dict[int, bytes] = {}
        self.tags: dict[str, str] = {}  # annotated tags: name -> commit
        self.light: dict[str, str] = {}  # lightweight tags
        self.digests = True
        self.page = 100
        self.upload_host: str | None = None
        self.next = 1
        self.on_half = self.begun
        for method, path, do in (
            ("GET", REPO, self.repository),
            ("GET", f"{REPO}/releases", self.listed),
            ("POST", f"{REPO}/releases", self.made),
            ("GET", f"{REPO}/releases/tags/:tag", self.of_tag),
            ("PATCH", f"{REPO}/releases/:id", self.changed),
            ("GET", f"{REPO}/releases/:id/assets", self.assets_of),
            ("POST", f"{REPO}/releases/:id/assets", self.uploaded),
            ("GET", f"{REPO}/releases/assets/:id", self.asset),
            ("DELETE", f"{REPO}/releases/assets/:id", self.deleted),
            ("GET", f"{REPO}/git/ref/tags/:tag", self.reference),
            ("GET", f"{REPO}/git/tags/:sha", self.tag_object),
            ("GET", "/blobs/:id", self.blob),
        ):
            self.route(method, path, do)

    def check(self, asked: Asked) -> None:
        headers = asked.headers
        demand(headers.get("user-agent"), "a request needs a User-Agent")
        if asked.path.startswith("/blobs/"):
            demand("authorization" not in headers, "the token went to the storage")
            return
        demand(headers.get("authorization") == f"Bearer {TOKEN}", "wrong Authorization")
        demand(headers.get("x-github-api-version") == "2022-11-28", "wrong version of the API")
        accept = headers.get("accept")
        download = asked.method == "GET" and re.search(r"/releases/assets/\d+$", asked.path)
        raw = download and accept == "application/octet-stream"
        demand(raw or accept == "application/vnd.github+json", f"wrong Accept {accept}")

    # --- releases --------------------------------------------------------------------------------

    def shown(self, one: dict[str, Any]) -> dict[str, Any]:
        uploads = self.upload_host or self.address
        url = f"{self.address}{REPO}/releases/{one['id']}"
        mine = [a for i, a in self.assets.items() if self.owner[i] == one["id"]]
        return {
            **one,
            "url": url,
            "html_url": f"https://github.test/owner/dogs/releases/tag/{one['tag_name']}",
            "upload_url": f"{uploads}{REPO}/releases/{one['id']}/assets{{?name,label}}",
            # Assets that broke off are only in the list of assets.
            "assets": [a for a in mine if a["state"] == "uploaded"],
        }

    def repository(self, asked: Asked) -> Said:
        return Said(200, {"full_name": "owner/dogs"})

    def paged(self, asked: Asked, items: list[Any]) -> Said:
        size = min(int(asked.query.get("per_page", 30)), self.page)
        number = int(asked.query.get("page", 1))
        headers = {}
        if number * size < len(items):
            url = f"{self.address}{quote(asked.path)}?per_page={size}&page={number + 1}"
            headers["Link"] = f'<{url}>; rel="next", <{url}>; rel="last"'
        return Said(200, items[(number - 1) * size : number * size], headers=headers)

    def listed(self, asked: Asked) -> Said:
        return self.paged(asked, [self.shown(r) for r in reversed(self.releases.values())])

    def of_tag(self, asked: Asked, tag: str) -> Said:
        for one in self.releases.values():
            if one["tag_name"] == tag and not one["draft"]:
                return Said(200, self.shown(one))
        return Said(404, {"message": "Not Found"})

    def body(self, asked: Asked) -> dict[str, Any]:
        demand(asked.headers.get("content-type") == "application/json", "the body must be JSON")
        said = asked.json
        for key, value in said.items():
            demand(key in _KEYS, f"unknown parameter {key}")
            demand(isinstance(value, _KEYS[key]), f"wrong type of {key}")
        demand(said.get("make_latest", "true") in ("true", "false", "legacy"), "make_latest")
        demand(len(said.get("body", "")) <= 125_000, "the text is too long")
        return dict(said)

    def made(self, asked: Asked) -> Said:
        said = self.body(asked)
        demand(said.get("tag_name"), "tag_name is required")
        one = {"id": self.number(), "draft": False, "prerelease": False, **said}
        return self.kept(one, 201)

    def changed(self, asked: Asked, id: str) -> Said:
        if int(id) not in self.releases:
            return Said(404, {"message": "Not Found"})
        return self.kept({**self.releases[int(id)], **self.body(asked)}, 200)

    def kept(self, one: dict[str, Any], status: int) -> Said:
        tag = one["tag_name"]
        others = [r for r in self.releases.values() if r["id"] != one["id"]]
        if not one["draft"]:
            if any(r["tag_name"] == tag and not r["draft"] for r in others):
                error = {"resource": "Release", "code": "already_exists", "field": "tag_name"}
                return Said(422, {"message": "Validation Failed", "errors": [error]})
            demand(tag in self.tags or tag in self.light, "this would make the tag itself")
        self.releases[one["id"]] = one
        return Said(status, self.shown(one))

    # --- assets ----------------------------------------------------------------------------------

    def number(self) -> int:
        self.next += 1
        return self.next

    def add(self, release: int, name: str, state: str, size: int, sha256: str | None) -> Any:
        one = {
            "id": self.number(),
            "name": name,
            "state": state,
            "size": size,
            "digest": f"sha256:{sha256}" if sha256 and self.digests else None,
            "content_type": "application/octet-stream",
        }
        self.assets[one["id"]], self.owner[one["id"]] = one, release
        return one

    def assets_of(self, asked: Asked, id: str) -> Said:
        return self.paged(asked, [a for i, a in self.assets.items() if self.owner[i] == int(id)])

    def begun(self, asked: Asked) -> None:
        """What an upload leaves that broke off."""
        self.add(int(asked.path.split("/")[5]), asked.query["name"], "starter", 0, None)

    def uploaded(self, asked: Asked, id: str) -> Said:
        name = asked.query.get("name", "")
        demand(name, "the asset needs a name")
        demand("content-length" in asked.headers, "Bad Content-Length")
        demand("transfer-encoding" not in asked.headers, "Bad Content-Length")
        demand("/" in asked.headers.get("content-type", ""), "Content-Type is required")
        demand(asked.body.size > 0, "an empty asset")
        renamed = re.sub(r"[^A-Za-z0-9._+-]", ".", name).strip(".")
        demand(renamed == name, f"the asset would be renamed to {renamed}")
        demand(self.releases[int(id)]["draft"], "an asset of a published release")
        there = [a for i, a in self.assets.items() if self.owner[i] == int(id)]
        if any(a["name"] == name for a in there):
            error = {"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}
            return Said(422, {"message": "Validation Failed", "errors": [error]})
        one = self.add(int(id), name, "uploaded", asked.body.size, asked.body.sha256)
        self.bytes[one["id"]] = asked.body.data
        return Said(201, one)

    def asset(self, asked: Asked, id: str) -> Said:
        demand(asked.headers["accept"] == "application/octet-stream", "only read as bytes here")
        place = self.address.replace("127.0.0.1", "localhost")
        return Said(302, headers={"Location": f"{place}/blobs/{id}?signature=abc"})

    def blob(self, asked: Asked, id: str) -> Said:
        return Said(200, data=self.bytes[int(id)])

    def deleted(self, asked: Asked, id: str) -> Said:
        if self.assets.pop(int(id), None) is None:
            return Said(404, {"message": "Not Found"})
        return Said(204)

    # --- git -------------------------------------------------------------------------------------

    def reference(self, asked: Asked, tag: str) -> Said:
        if tag in self.tags:
            pointed = {"type": "tag", "sha": f"{abs(hash(tag)):x}"}
        elif tag in self.light:
            pointed = {"type": "commit", "sha": self.light[tag]}
        else:
            return Said(404, {"message": "Not Found"})
        return Said(200, {"ref": f"refs/tags/{tag}", "object": pointed})

    def tag_object(self, asked: Asked, sha: str) -> Said:
        tag = next(t for t in self.tags if f"{abs(hash(t)):x}" == sha)
        return Said(200, {"tag": tag, "object": {"type": "commit", "sha": self.tags[tag]}})

    def push(self, tag: str = "dogs@v1.2.0", commit: str = COMMIT) -> None:
        self.tags[tag] = commit

    def names(self, *, draft: bool) -> list[str]:
        """The assets of the one release that is, or is no draft."""
        mine = [r["id"] for r in self.releases.values() if r["draft"] is draft]
        return sorted(a["name"] for i, a in self.assets.items() if self.owner[i] in mine)
