"""S3 and what speaks like it: `PREFIX/<name>/v<version>/`, whose manifest comes last.

Until `manifest.json` is there the version does not exist for anyone; it is written by `reveal`,
only where there is none, and then `latest.json` beside the versions points to it.
"""

from __future__ import annotations

from functools import cached_property
from urllib.parse import urlsplit

from mlbuild.errors import Problem
from mlbuild.publishing import option
from mlbuild.release.publish.bucket import Bucket, TakenError, open_bucket
from mlbuild.release.publish.contents import Held, contents
from mlbuild.release.publish.latest import LATEST, moves, pointer
from mlbuild.release.publish.protocol import (
    MANIFEST,
    SIGNATURES,
    Bundle,
    Order,
    PublishError,
    differs,
    narrator,
    objection,
)


class S3:
    """Releases below a prefix of a bucket."""

    def __init__(self, order: Order) -> None:
        self._order, spec = order, order.spec
        self.name = str(spec["s3"]).rstrip("/")
        parts = urlsplit(self.name)
        self._prefix = f"{parts.path.strip('/')}/".lstrip("/")

    def check(self, release: Bundle) -> str | None:
        """What would stand in the way; asks only."""
        return objection(lambda: self._look(release))

    def stage(self, release: Bundle) -> None:
        """Uploads everything but the manifest."""
        held = contents(release)
        if self._published(release, held):
            return
        self._refuse_strangers(release, held)
        tell = narrator(self.name, self._order.progress, sum(h.size for h in held))
        for one in held:
            if one.path != MANIFEST:
                self._place(release, one)
            tell(one.size, one.path)

    def reveal(self, release: Bundle) -> str:
        """Puts the manifest there, then moves the pointer on."""
        held = contents(release)
        manifest = next(h for h in held if h.path == MANIFEST)
        if not self._published(release, held):
            self._refuse_strangers(release, held)
            for one in [h for h in held if h is not manifest]:
                if not self._bucket.right(self._key(release, one.path), one):
                    why = f"not staged: {one.path} is missing or differs"
                    raise PublishError(f"{self.name}: {why}")
            try:
                self._bucket.put(self._key(release, MANIFEST), manifest, new=True)
            except TakenError:  # somebody was faster: with the same bytes, or it is refused
                self._published(release, held)
        self._point(release, manifest)
        return f"{self.name}/{release.name}/v{release.version}/"

    @cached_property
    def _bucket(self) -> Bucket:
        return open_bucket(
            self.name,
            urlsplit(self.name).netloc,
            self._order.environ,
            self._order.patience,
            endpoint=option(self._order.spec, "endpoint_url") or None,
            profile=option(self._order.spec, "profile") or None,
            region=option(self._order.spec, "region") or None,
        )

    def _key(self, release: Bundle, path: str) -> str:
        return f"{self._prefix}{release.name}/v{release.version}/{path}"

    def _look(self, release: Bundle) -> None:
        if not release.folder.is_dir():
            if self._bucket.read(self._key(release, MANIFEST)) is not None:
                raise PublishError(
                    f"{self.name}: {release.name} {release.version} is there already"
                )
            return
        held = contents(release)
        if not self._published(release, held):
            self._refuse_strangers(release, held)

    def _published(self, release: Bundle, held: list[Held]) -> bool:
        """Whether it is there for all to see, with these very bytes."""
        if self._bucket.read(self._key(release, MANIFEST)) is None:
            return False
        there = self._there(release)
        for one in held:
            if one.path in SIGNATURES:
                continue
            if one.path not in there:
                raise differs(self.name, release, one.path, "it is missing there")
            if not self._bucket.right(self._key(release, one.path), one):
                raise differs(self.name, release, one.path, "it differs")
        extra = sorted(there - {h.path for h in held} - SIGNATURES)
        if extra:
            raise differs(self.name, release, extra[0], "it is not of this release")
        return True

    def _there(self, release: Bundle) -> set[str]:
        top = self._key(release, "")
        return {key.removeprefix(top) for key in self._bucket.keys(top)}

    def _refuse_strangers(self, release: Bundle, held: list[Held]) -> None:
        strange = sorted(self._there(release) - {h.path for h in held})
        if strange:
            message = f"{self.name}: what is not of {release.name} {release.version} lies there"
            hint = f"delete it below {self._key(release, '')}"
            raise PublishError(Problem(message, got=", ".join(strange), hint=hint))

    def _place(self, release: Bundle, one: Held) -> None:
        key = self._key(release, one.path)
        if self._bucket.right(key, one):
            return
        self._bucket.put(key, one)
        if not self._bucket.right(key, one):
            raise PublishError(f"{self.name}: {one.path} arrived there with other bytes")

    def _point(self, release: Bundle, manifest: Held) -> None:
        key = f"{self._prefix}{release.name}/{LATEST}"
        shown, new = f"{self.name}/{release.name}/{LATEST}", pointer(release, manifest.sha256)
        for _ in range(self._order.patience.tries):
            old, over = self._bucket.look(key)
            if new == old or not moves(shown, release, old):
                return
            try:
                self._bucket.write(key, new, over)
            except TakenError:
                continue  # another version was published at the same moment: which is newer?
            return
        raise PublishError(f"{shown}: others replace it all the time", hint="run it again")
