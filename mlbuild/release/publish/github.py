"""A GitHub release: a draft until all assets are there and right, then published on its tag.

Source: GitHub REST API, version 2022-11-28: Releases, Release assets, Git references and tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

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

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_LARGEST = 2 << 30  # bytes: an asset must be smaller
_LONGEST_NOTES = 125_000  # characters that a release's text may have
_ELSEWHERE = "…\n\nThe rest is in NOTES.md."


class GitHub:
    """Releases of a repository on GitHub or GitHub Enterprise."""

    def __init__(self, order: Order) -> None:
        self._order, spec = order, order.spec
        self.name = f"github {spec['github']}"
        self._api = option(spec, "api_url").rstrip("/")
        self._repo = f"{self._api}/repos/{spec['github']}"

    # --- the protocol ----------------------------------------------------------------------------

    def check(self, release: Bundle) -> str | None:
        """What would stand in the way; asks only."""
        return objection(lambda: self._look(release))

    @understood
    def stage(self, release: Bundle) -> None:
        """Uploads all assets to a draft."""
        with packed(release, option(self._order.spec, "assets")) as assets:
            if self._published(release, assets):
                return
            self._check_sizes(assets)
            draft = self._draft(release) or self._new_draft(release)
            self._refuse_strangers(draft, assets)
            tell = narrator(self.name, self._order.progress, sum(a.size for a in assets))
            for asset in assets:
                self._client.until(
                    lambda a=asset: self._placed(draft, a, tell),  # type: ignore[misc]
                    f"sending {asset.name}",
                )

    @understood
    def reveal(self, release: Bundle) -> str:
        """Publishes the draft on the tag, which must be there."""
        with packed(release, option(self._order.spec, "assets")) as assets:
            if not self._published(release, assets):
                self._check_tag(release)
                self._publish(release, assets)
        published = self._release(release)
        if published is None:
            raise PublishError(f"{self.name}: {release.tag} was published, and is not there")
        return str(published["html_url"])

    # --- the release -----------------------------------------------------------------------------

    @cached_property
    def _client(self) -> Client:
        variable = option(self._order.spec, "token_env")
        given = "api_url" in self._order.spec
        refuse_other_server(self.name, self._order.environ, "GITHUB_API_URL", self._api, given)
        secret = token(self.name, self._order.environ, variable, "the right to write contents")
        return Client(
            self.name,
            (self._api, _uploads(self._api)),
            {"Authorization": f"Bearer {secret}"},
            self._order.patience,
            headers=_HEADERS,
        )

    @understood
    def _look(self, release: Bundle) -> None:
        self._client.ask("GET", self._repo)
        published, draft = self._release(release), self._draft(release)
        written = release.folder.is_dir()
        if published and not written:
            raise PublishError(f"{self.name}: {release.tag} is published there already")
        if not (written and (published or draft)):
            return  # nothing to compare: packing would take a while
        with packed(release, option(self._order.spec, "assets")) as assets:
            if not self._published(release, assets):
                self._refuse_strangers(draft, assets)

    def _release(self, release: Bundle) -> Any:
        """The published release of the tag, or nothing; drafts are not found by their tag."""
        url = f"{self._repo}/releases/tags/{quote(release.tag, safe='')}"
        answer = self._client.ask("GET", url, 200, 404)
        return answer.json if answer.status == 200 else None

    def _published(self, release: Bundle, assets: Sequence[Asset]) -> bool:
        """Whether it is there for all to see, with these very bytes."""
        found = self._release(release)
        if found is None:
            return False
        there = self._assets(found)
        for asset in assets:
            if asset.is_signature:
                continue
            known = there.get(asset.name)
            if known is None:
                raise differs(self.name, release, asset.name, "it is missing there")
            if not self._right(known, asset):
                raise differs(self.name, release, asset.name, "it differs")
        return True

    def _draft(self, release: Bundle) -> Any:
        """Our draft, or nothing; of several the oldest, which all that publish agree on."""
        pages = self._client.pages(f"{self._repo}/releases?per_page=100")
        drafts = [r for r in pages if r["draft"] and r["tag_name"] == release.tag]
        return min(drafts, key=lambda r: int(r["id"]), default=None)

    def _new_draft(self, release: Bundle) -> Any:
        def act() -> Any:
            found = self._draft(release)
            if found is not None:
                return found
            said = _told(release) | {"draft": True}
            made = self._client.ask("POST", f"{self._repo}/releases", 201, json=said).json
            return self._draft(release) or made  # somebody else's, where two made one at once

        return self._client.until(act, "making a draft")

    def _check_tag(self, release: Bundle) -> None:
        url = f"{self._repo}/git/ref/tags/{quote(release.tag, safe='')}"
        answer = self._client.ask("GET", url, 200, 404)
        if answer.status == 404:
            message = f"{self.name}: the tag {release.tag} is not there"
            raise PublishError(message, hint=f"git push origin {release.tag}")
        pointed = answer.json["object"]
        if pointed["type"] == "tag":  # an annotated tag is an object of its own
            pointed = self._client.ask("GET", f"{self._repo}/git/tags/{pointed['sha']}").json[
                "object"
            ]
        if pointed["sha"] != release.commit:
            message = f"{self.name}: the tag {release.tag} names another commit there"
            raise PublishError(Problem(message, got=pointed["sha"], allowed=(release.commit,)))

    def _publish(self, release: Bundle, assets: Sequence[Asset]) -> None:
        draft = self._draft(release)
        if draft is None:
            raise PublishError(f"{self.name}: {release.tag} was not staged")
        self._refuse_strangers(draft, assets)
        there = self._assets(draft)
        for asset in assets:
            known = there.get(asset.name)
            if known is None or not self._right(known, asset):
                raise PublishError(f"{self.name}: not staged: {asset.name} is missing or differs")
        said = _told(release) | {"draft": False, "make_latest": "legacy"}
        self._client.ask("PATCH", f"{self._repo}/releases/{int(draft['id'])}", json=said)

    # --- its assets ------------------------------------------------------------------------------

    def _assets(self, release: Any) -> dict[str, Any]:
        """By name; asked for by themselves: a release does not list those that broke off."""
        url = f"{self._repo}/releases/{int(release['id'])}/assets?per_page=100"
        return {str(asset["name"]): asset for asset in self._client.pages(url)}

    def _check_sizes(self, assets: Sequence[Asset]) -> None:
        for asset in assets:
            if not 0 < asset.size < _LARGEST:
                message = f"{self.name}: a release there cannot hold {asset.name}"
                allowed = (f"1 to {_LARGEST - 1} bytes",)
                raise PublishError(Problem(message, got=f"{asset.size} bytes", allowed=allowed))

    def _refuse_strangers(self, draft: Any, assets: Sequence[Asset]) -> None:
        strange = sorted(set(self._assets(draft)) - {a.name for a in assets})
        if strange:
            message = f"{self.name}: the draft of {draft['tag_name']} holds what is not of it"
            hint = f"delete the draft, or that file: {draft['html_url']}"
            raise PublishError(Problem(message, got=", ".join(strange), hint=hint))

    def _placed(self, draft: Any, asset: Asset, tell: Any) -> bool | None:
        """Looks for an asset, and sends it where it is missing; None: look again."""
        known = self._assets(draft).get(asset.name)
        if known is not None:
            if self._right(known, asset):
                return True
            gone = f"{self._repo}/releases/assets/{int(known['id'])}"
            self._client.ask("DELETE", gone, 204, 404)
        address = str(draft["upload_url"]).partition("{")[0]
        if not self._client.trusts(address):
            host = urlsplit(address).netloc.rpartition("@")[2]
            raise PublishError(f"{self.name}: refused to send the token to {host}")
        answer = self._client.send(
            "POST",
            f"{address}?name={quote(asset.name, safe='')}",
            Upload(asset.file, asset.size, lambda n: tell(n, asset.name)),
            201,
            422,  # it came into being meanwhile
            headers={"Content-Type": asset.type},
        )
        return True if answer.status == 201 and self._right(answer.json, asset) else None

    def _right(self, known: Any, asset: Asset) -> bool:
        """Whether what is there is the asset: by its digest, or read back where none is told."""
        if known.get("state") != "uploaded" or known["size"] != asset.size:
            return False
        if known.get("digest"):
            return bool(known["digest"] == f"sha256:{asset.sha256}")
        url = f"{self._repo}/releases/assets/{int(known['id'])}"
        found = self._client.digest(url, {"Accept": "application/octet-stream"})
        return found == (asset.size, asset.sha256)


def _told(release: Bundle) -> dict[str, object]:
    """What a draft and the release say of themselves."""
    notes = release.notes
    if len(notes) > _LONGEST_NOTES:
        notes = notes[: _LONGEST_NOTES - len(_ELSEWHERE)] + _ELSEWHERE
    return {
        "tag_name": release.tag,
        "target_commitish": release.commit,
        "name": f"{release.name} {release.version}",
        "body": notes,
        "prerelease": "-" in release.version,
    }


def _uploads(api: str) -> str:
    """Where uploads go, beside the API itself: GitHub has a host of its own for them."""
    parts = urlsplit(api)
    host = parts.netloc
    if host.startswith("api."):
        host = f"uploads.{host.removeprefix('api.')}"
    return f"{parts.scheme}://{host}"
