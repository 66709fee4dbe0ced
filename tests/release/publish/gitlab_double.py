"""GitLab's REST API for generic packages, tags and releases, as its documentation has it."""

import re
from typing import Any
from urllib.parse import quote

from tests.release.publish.bundles import COMMIT
from tests.release.publish.double import Asked, Double, Said, demand

TOKEN = "glpat-SecretSecret"
JOB = "job-SecretSecret"
PROJECT = "group/sub/dogs"
_TOP = "/api/v4/projects/:id"
_FILE = re.compile(r"(?![~@])[A-Za-z0-9._+~@/-]+(?<![~@])")
_LINK = {"name", "url", "link_type", "direct_asset_path"}
_RELEASE = {"tag_name", "name", "description", "ref", "milestones", "assets", "released_at"}


class GitLabDouble(Double):
    """Packages, tags and releases of one project."""

    def __init__(self) -> None:
        super().__init__()
        self.packages: dict[tuple[str, str], int] = {}
        self.files: dict[int, dict[str, Any]] = {}
        self.bytes: dict[int, bytes] = {}
        self.releases: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, str] = {}
        self.digests = True
        self.page = 100
        self.may_delete = True
        self.next = 10
        package = f"{_TOP}/packages"
        for method, path, do in (
            ("GET", package, self.listed),
            ("GET", f"{package}/:package/package_files", self.files_of),
            ("DELETE", f"{package}/:package/package_files/:file", self.deleted),
            ("PUT", f"{package}/generic/:name/:version/:file", self.put),
            ("GET", f"{package}/generic/:name/:version/:file", self.get),
            ("GET", f"{_TOP}/repository/tags", self.tag_list),
            ("GET", f"{_TOP}/releases/:tag", self.release),
            ("POST", f"{_TOP}/releases", self.made),
            ("GET", "/storage/:file", self.stored),
        ):
            self.route(method, path, do)

    def check(self, asked: Asked) -> None:
        headers = asked.headers
        demand("authorization" not in headers, "another header than documented")
        sent = {k: headers[k] for k in ("private-token", "job-token") if k in headers}
        if asked.path.startswith("/storage/"):
            demand(not sent, "the token went to the storage")
            return
        demand(sent in ({"private-token": TOKEN}, {"job-token": JOB}), "wrong token or header")

    def answer(self, asked: Asked, raw: str) -> Said:
        if not raw.startswith(("/storage/", f"/api/v4/projects/{quote(PROJECT, safe='')}/")):
            return Said(404, {"message": "404 Project Not Found"})
        return super().answer(asked, raw)

    def paged(self, asked: Asked, items: list[Any]) -> Said:
        size = min(int(asked.query.get("per_page", 20)), self.page)
        number = int(asked.query.get("page", 1))
        headers = {}
        if number * size < len(items):
            more = "&".join(f"{k}={quote(v)}" for k, v in asked.query.items() if k != "page")
            path = asked.path.replace(PROJECT, quote(PROJECT, safe=""))
            headers["Link"] = f'<{self.address}{path}?{more}&page={number + 1}>; rel="next"'
        return Said(200, items[(number - 1) * size : number * size], headers=headers)

    # --- packages --------------------------------------------------------------------------------

    def listed(self, asked: Asked, id: str) -> Said:
        demand(asked.query.get("package_type") == "generic", "all types would be listed")
        found = [
            {"id": number, "name": name, "version": version, "package_type": "generic"}
            for (name, version), number in self.packages.items()
            if asked.query.get("package_name", "") in name  # it searches loosely
            and asked.query.get("package_version", version) == version
        ]
        return self.paged(asked, found)

    def files_of(self, asked: Asked, id: str, package: str) -> Said:
        return self.paged(
            asked, [f for f in self.files.values() if f["package_id"] == int(package)]
        )

    def put(self, asked: Asked, id: str, name: str, version: str, file: str) -> Said:
        demand(re.fullmatch(r"[A-Za-z0-9._-]+", name), "wrong name of a package")
        demand(re.fullmatch(r"[\w.+-]+", version), "wrong version of a package")
        demand(_FILE.fullmatch(file), "wrong name of a file")
        demand("content-length" in asked.headers, "no length")
        demand(asked.query == {"select": "package_file"}, "the file is not asked for")
        number = self.packages.setdefault((name, version), len(self.packages) + 1)
        self.next += 1
        one = {
            "id": self.next,
            "package_id": number,
            "file_name": file,
            "size": asked.body.size,
            "file_sha256": asked.body.sha256 if self.digests else None,
        }
        self.files[self.next], self.bytes[self.next] = one, asked.body.data
        return Said(201, one)

    def get(self, asked: Asked, id: str, name: str, version: str, file: str) -> Said:
        package = self.packages.get((name, version))
        mine = [
            i
            for i, f in self.files.items()
            if f["package_id"] == package and f["file_name"] == file
        ]
        if not mine:
            return Said(404, {"message": "404 Not found"})
        place = self.address.replace("127.0.0.1", "localhost")
        return Said(302, headers={"Location": f"{place}/storage/{max(mine)}"})

    def stored(self, asked: Asked, file: str) -> Said:
        return Said(200, data=self.bytes[int(file)])

    def deleted(self, asked: Asked, id: str, package: str, file: str) -> Said:
        if not self.may_delete:
            return Said(403, {"message": "403 Forbidden"})
        demand(self.files[int(file)]["package_id"] == int(package), "another package's file")
        del self.files[int(file)]
        return Said(204)

    # --- tags and releases -----------------------------------------------------------------------

    def tag_list(self, asked: Asked, id: str) -> Said:
        term = asked.query.get("search", "")
        start = term.removeprefix("^")
        found = [
            {"name": tag, "commit": {"id": commit}}
            for tag, commit in self.tags.items()
            if (tag.startswith(start) if term.startswith("^") else start in tag)
        ]
        return self.paged(asked, found)

    def shown(self, tag: str) -> dict[str, Any]:
        link = f"https://gitlab.test/{PROJECT}/-/releases/{tag}"
        return {**self.releases[tag], "_links": {"self": link}}

    def release(self, asked: Asked, id: str, tag: str) -> Said:
        if tag not in self.releases:
            return Said(404, {"message": "404 Not found"})
        return Said(200, self.shown(tag))

    def made(self, asked: Asked, id: str) -> Said:
        demand(asked.headers.get("content-type") == "application/json", "the body must be JSON")
        said = asked.json
        demand(set(said) <= _RELEASE, f"unknown: {sorted(set(said) - _RELEASE)}")
        tag = said["tag_name"]
        if tag in self.releases:
            return Said(409, {"message": "Release already exists"})
        demand("ref" not in said, "this would make the tag itself")
        if tag not in self.tags:
            return Said(422, {"message": "Ref is not specified"})
        links = said["assets"]["links"]
        demand(all(set(link) <= _LINK for link in links), "unknown keys of a link")
        for key in ("name", "url", "direct_asset_path"):
            demand(len({link[key] for link in links}) == len(links), f"{key} must be unique")
        for link in links:
            demand(link["link_type"] in ("other", "runbook", "image", "package"), "link_type")
            demand(link["direct_asset_path"].startswith("/"), "direct_asset_path")
        self.releases[tag] = said
        return Said(201, self.shown(tag))

    def push(self, tag: str = "dogs@v1.2.0", commit: str = COMMIT) -> None:
        self.tags[tag] = commit

    def names(self) -> list[str]:
        return sorted(f["file_name"] for f in self.files.values())
