"""A GitLab release: files in the project's generic package registry, then a release with links.

The registry has no drafts: files are there from `stage` on, under the version's name; the release
that names them comes with `reveal`.

Source: GitLab documentation: Generic packages, Packages API, Tags API, Releases API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from mlbuild.errors import Problem
from mlbuild.publishing import option
from mlbuild.release.publish.assets import Asset, packed
from mlbuild.release.publish.http import Client, understood
from mlbuild.release.publish.protocol import (
    Bundle,
    Order,
    PublishError,
    differs,
    narrator,
    objection,
)
from mlbuild.release.publish.tokens import refuse_other_server, token
from mlbuild.release.publish.upload import Upload

_JOB = "CI_JOB_TOKEN"
_OWN = "GITLAB_TOKEN"
_CONFLICT = 409  # the release came into being meanwhile


class GitLab:
    """Releases of a project on GitLab, on its own servers or a team's."""

    def __init__(self, order: Order) -> None:
        self._order, spec = order, order.spec
        self.name = f"gitlab {spec['gitlab']}"
        self._api = option(spec, "api_url").rstrip("/")
        self._project = f"{self._api}/projects/{quote(str(spec['gitlab']), safe='')}"

    # --- the protocol ----------------------------------------------------------------------------

    def check(self, release: Bundle) -> str | None:
        """What would stand in the way; asks only."""
        return objection(lambda: self._look(release))

    @understood
    def stage(self, release: Bundle) -> None:
        """Uploads all assets to the package registry."""
        with packed(release, option(self._order.spec, "assets")) as assets:
            if self._published(release, assets):
                return
            self._refuse_strangers(release, assets)
            tell = narrator(self.name, self._order.progress, sum(a.size for a in assets))
            for asset in assets:  # one after the other, as its documentation demands
                self._client.until(
                    lambda a=asset: self._placed(release, a, tell),  # type: ignore[misc]
                    f"sending {asset.name}",
                )

    @understood
    def reveal(self, release: Bundle) -> str:
        """Makes the release of the tag, which must be there."""
        with packed(release, option(self._order.spec, "assets")) as assets:
            if not self._published(release, assets):
                self._check_tag(release)
                self._check_staged(release, assets)
                said = self._told(release, assets)
                self._client.until(lambda: self._made(release, said), "making the release")
        return str(self._release(release)["_links"]["self"])

    # --- the release -----------------------------------------------------------------------------

    @cached_property
    def _client(self) -> Client:
        given = "api_url" in self._order.spec
        refuse_other_server(self.name, self._order.environ, "CI_API_V4_URL", self._api, given)
        variable = option(self._order.spec, "token_env")
        if not variable:
            job = self._order.environ.get(_JOB) and not self._order.environ.get(_OWN)
            variable = _JOB if job else _OWN
        secret = token(self.name, self._order.environ, variable, "the scope 'api'")
        header = "JOB-TOKEN" if variable == _JOB else "PRIVATE-TOKEN"
        return Client(self.name, (self._api,), {header: secret}, self._order.patience)

    @understood
    def _look(self, release: Bundle) -> None:
        found = self._release(release)  # a job's token may see releases, and not the project
        written = release.folder.is_dir()
        if found and not written:
            raise PublishError(f"{self.name}: {release.tag} is published there already")
        if not (written and (found or self._files(release))):
            return  # nothing to compare: packing would take a while
        with packed(release, option(self._order.spec, "assets")) as assets:
            if not self._published(release, assets):
                self._refuse_strangers(release, assets)

    def _release(self, release: Bundle) -> Any:
        url = f"{self._project}/releases/{quote(release.tag, safe='')}"
        answer = self._client.ask("GET", url, 200, 404)
        if answer.status == 404 and not _is_no_release(answer.json):
            raise PublishError(
                f"{self.name}: there is no such project, or the token may not see it",
                hint="check its name and the token's rights",
            )
        return answer.json if answer.status == 200 else None

    def _published(self, release: Bundle, assets: Sequence[Asset]) -> bool:
        """Whether the release is there, with these very bytes."""
        if self._release(release) is None:
            return False
        there = self._files(release)
        for asset in assets:
            if asset.is_signature:
                continue
            if not there.get(asset.name):
                raise differs(self.name, release, asset.name, "it is missing there")
            if not self._right(release, there[asset.name][-1], asset):
                raise differs(self.name, release, asset.name, "it differs")
        return True

    def _check_tag(self, release: Bundle) -> None:
        # The list, because a job's token may read it, and not a single tag.
        search = quote(f"^{release.tag}", safe="")
        found = self._client.pages(f"{self._project}/repository/tags?search={search}&per_page=100")
        commit = next((t["commit"]["id"] for t in found if t["name"] == release.tag), None)
        if commit is None:
            message = f"{self.name}: the tag {release.tag} is not there"
            raise PublishError(message, hint=f"git push origin {release.tag}")
        if commit != release.commit:
            message = f"{self.name}: the tag {release.tag} names another commit there"
            raise PublishError(Problem(message, got=commit, allowed=(release.commit,)))

    def _check_staged(self, release: Bundle, assets: Sequence[Asset]) -> None:
        self._refuse_strangers(release, assets)
        there = self._files(release)
        for asset in assets:
            known = there.get(asset.name)
            if not known or not self._right(release, known[-1], asset):
                raise PublishError(f"{self.name}: not staged: {asset.name} is missing or differs")

    def _told(self, release: Bundle, assets: Sequence[Asset]) -> dict[str, object]:
        # No `ref`: with one, GitLab would make a tag that is missing.
        return {
            "tag_name": release.tag,
            "name": f"{release.name} {release.version}",
            "description": release.notes,
            "assets": {
                "links": [
                    {
                        "name": asset.name,
                        "url": self._address(release, asset.name),
                        "link_type": "package",
                        "direct_asset_path": f"/{asset.name}",
                    }
                    for asset in assets
                ]
            },
        }

    def _made(self, release: Bundle, said: Mapping[str, object]) -> bool | None:
        if self._release(release) is not None:
            return True
        url = f"{self._project}/releases"
        answer = self._client.ask("POST", url, 201, _CONFLICT, json=said)
        return True if answer.status == 201 else None

    # --- its files -------------------------------------------------------------------------------

    def _package(self, release: Bundle) -> int | None:
        query = f"package_type=generic&package_name={quote(release.name, safe='')}"
        query += f"&package_version={quote(release.version, safe='')}&per_page=100"
        for found in self._client.pages(f"{self._project}/packages?{query}"):
            # The service searches names loosely.
            if (found["name"], found["version"]) == (release.name, release.version):
                return int(found["id"])
        return None

    def _files(self, release: Bundle) -> dict[str, list[Any]]:
        """Files of the version by name, the newest last: that one is served."""
        package = self._package(release)
        if package is None:
            return {}
        url = f"{self._project}/packages/{package}/package_files?per_page=100"
        there: dict[str, list[Any]] = {}
        for file in sorted(self._client.pages(url), key=lambda f: int(f["id"])):
            there.setdefault(str(file["file_name"]), []).append(file)
        return there

    def _refuse_strangers(self, release: Bundle, assets: Sequence[Asset]) -> None:
        strange = sorted(set(self._files(release)) - {a.name for a in assets})
        if strange:
            message = f"{self.name}: the package {release.name} {release.version} holds more"
            hint = "delete that package, or those files of it"
            raise PublishError(Problem(message, got=", ".join(strange), hint=hint))

    def _placed(self, release: Bundle, asset: Asset, tell: Any) -> bool | None:
        """Looks for a file, and sends it where it is missing; None: look again."""
        known = self._files(release).get(asset.name, [])
        if known and self._right(release, known[-1], asset):
            return True
        for old in known:  # left by a release that was given up, and never seen
            gone = f"{self._project}/packages/{old['package_id']}/package_files/{old['id']}"
            self._client.ask("DELETE", gone, 204, 403, 404)  # 403: the newest is served anyway
        upload = Upload(asset.file, asset.size, lambda n: tell(n, asset.name))
        headers = {"Content-Type": "application/octet-stream"}
        address = f"{self._address(release, asset.name)}?select=package_file"
        made = self._client.send("PUT", address, upload, 200, 201, headers=headers).json
        good = isinstance(made, dict) and made.get("file_sha256") == asset.sha256
        return True if good else None

    def _address(self, release: Bundle, name: str) -> str:
        parts = (release.name, release.version, name)
        quoted = "/".join(quote(part, safe="") for part in parts)
        return f"{self._project}/packages/generic/{quoted}"

    def _right(self, release: Bundle, known: Any, asset: Asset) -> bool:
        """Whether what is there is the asset: by its digest, or read back where none is told."""
        if known["size"] != asset.size:
            return False
        if known.get("file_sha256"):
            return bool(known["file_sha256"] == asset.sha256)
        found = self._client.digest(self._address(release, asset.name), {})
        return found == (asset.size, asset.sha256)


def _is_no_release(said: Any) -> bool:
    """GitLab says which of the two it did not find."""
    return "project" not in str(said.get("message", "") if isinstance(said, dict) else "").lower()
