"""A bucket: objects with digests, large ones in parts that an interrupted upload need not repeat.

botocore is what DVC's own S3 plug-in brings; nothing more is asked of the user.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from mlbuild.errors import Problem
from mlbuild.release.publish.contents import CHUNK, Held, digest_of
from mlbuild.release.publish.protocol import Patience, PublishError

PART = 16 << 20  # bytes: larger files go in parts, one of them in memory
_MOST_PARTS = 10_000
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_TAKEN = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_UNKNOWN = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest"})
_TYPES = {"json": "application/json", "md": "text/markdown", "html": "text/html"}


class TakenError(PublishError):
    """An object was to be new, and is there."""


class _AbsentError(PublishError):
    """There is no such object."""


class _UnknownError(PublishError):
    """The storage does not know what it was asked for."""


def open_bucket(
    name: str,
    bucket: str,
    environ: Mapping[str, str],
    patience: Patience,
    *,
    endpoint: str | None,
    profile: str | None,
    region: str | None,
) -> Bucket:
    """A bucket, with the credentials that AWS's own tools would use.

    Raises:
        PublishError: the library is not installed, or the profile does not exist.
    """
    try:
        import botocore.session  # type: ignore[import-untyped]  # lazy, optional: of dvc-s3
        from botocore.config import Config  # type: ignore[import-untyped]
    except ImportError as error:
        hint = "pip install 'mlbuild-pipelines[s3]' (or dvc-s3)"
        raise PublishError(f"{name}: the S3 client is not installed", hint=hint) from error
    amazon = endpoint is None or (urlsplit(endpoint).hostname or "").endswith("amazonaws.com")
    settings: dict[str, Any] = {
        "connect_timeout": patience.connect,
        "read_timeout": patience.answer,
        "retries": {"mode": "standard", "total_max_attempts": patience.tries},
        "s3": {"addressing_style": "auto" if amazon else "path"},
        # We send digests of our own; storages that are not Amazon's refuse the library's.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    try:
        config = Config(**settings)
    except TypeError as error:
        hint = "pip install --upgrade dvc-s3 botocore (1.36 or later)"
        raise PublishError(f"{name}: the S3 client is too old", hint=hint) from error
    secrets = tuple(environ[v] for v in _SECRETS if environ.get(v))

    def make() -> Any:
        session = botocore.session.Session(profile=profile)
        found = region or session.get_config_variable("region") or "us-east-1"
        return session.create_client("s3", region_name=found, endpoint_url=endpoint, config=config)

    return Bucket(name, bucket, _asked(name, secrets, make), secrets)


class Bucket:
    """Objects of one bucket."""

    def __init__(self, name: str, bucket: str, client: Any, secrets: tuple[str, ...]) -> None:
        self.name = name
        self._bucket, self._client, self._secrets = bucket, client, secrets
        self._checksums = True  # until the storage says that it knows none

    def keys(self, prefix: str) -> Iterator[str]:
        """The names of all objects below a prefix."""
        more: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=prefix, **more)
            yield from (str(item["Key"]) for item in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str) -> bytes | None:
        """A small object; None where there is none."""
        return self.look(key)[0]

    def look(self, key: str) -> tuple[bytes | None, str]:
        """A small object, and what its replacement must say to replace just that."""
        try:
            answer = self._ask("get_object", Key=key)
        except _AbsentError:
            return None, ""
        with closing(answer["Body"]) as body:
            data = bytes(_asked(self.name, self._secrets, body.read))
        return data, str(answer["ETag"])

    def write(self, key: str, data: bytes, over: str) -> None:
        """Replaces a small object.

        Args:
            key: its name.
            data: the new content.
            over: what `look` said of the old one.

        Raises:
            TakenError: another one took its place meanwhile.
        """
        asked = {"Key": key, "Body": data, "ContentType": _type(key)}
        condition = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        try:
            self._ask("put_object", **asked, **self._sum(data), **condition)
        except _UnknownError:  # a storage without digests, or without conditions
            self._ask("put_object", **asked)

    def right(self, key: str, one: Held) -> bool:
        """Whether an object is a file: by the digest that the storage keeps, or read back."""
        asked = {"ChecksumMode": "ENABLED"} if self._checksums else {}
        try:
            known = self._ask("head_object", Key=key, **asked)
        except _AbsentError:
            return False
        if known["ContentLength"] != one.size:
            return False
        stored = str(known.get("ChecksumSHA256", ""))
        if stored and stored in (_base64(bytes.fromhex(one.sha256)), *_composites(one)):
            return True
        body = self._ask("get_object", Key=key)["Body"]
        with closing(body):
            found = _asked(
                self.name, self._secrets, lambda: digest_of(iter(lambda: body.read(CHUNK), b""))
            )
        return bool(found == (one.size, one.sha256))

    def put(self, key: str, one: Held, *, new: bool = False) -> None:
        """Sends a file.

        Raises:
            TakenError: it was to be new, and there is an object of that name.
        """
        try:
            self._put(key, one, {"IfNoneMatch": "*"} if new else {})
        except _UnknownError:  # a storage without digests, or without conditions
            self._checksums = False
            self._put(key, one, {})

    def _put(self, key: str, one: Held, condition: dict[str, str]) -> None:
        if one.size > PART:
            self._in_parts(key, one)
            return
        data = one.file.read_bytes()
        asked = {"Key": key, "Body": data, "ContentType": _type(key)}
        self._ask("put_object", **asked, **self._sum(data), **condition)

    def _in_parts(self, key: str, one: Held) -> None:
        size = part_size(one.size)
        upload, there = self._begun(key)
        done = []
        for number, data in enumerate(_parts(one, size), start=1):
            known = there.get(number)
            if known is None or known != (len(data), hashlib.md5(data).hexdigest()):
                answer = self._ask(
                    "upload_part",
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=data,
                    **self._sum(data),
                )
                tag = answer["ETag"]
            else:
                tag = f'"{known[1]}"'
            done.append({"PartNumber": number, "ETag": tag, **self._sum(data)})
        self._ask(
            "complete_multipart_upload",
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": done},
        )

    def _begun(self, key: str) -> tuple[str, dict[int, tuple[int, str]]]:
        """An upload that was interrupted, with its parts (size, MD5), or a new one."""
        page = self._ask("list_multipart_uploads", Prefix=key)
        begun = [u["UploadId"] for u in page.get("Uploads", ()) if u["Key"] == key]
        if not begun:
            asked = {"ChecksumAlgorithm": "SHA256"} if self._checksums else {}
            made = self._ask("create_multipart_upload", Key=key, ContentType=_type(key), **asked)
            return str(made["UploadId"]), {}
        parts: dict[int, tuple[int, str]] = {}
        more: dict[str, int] = {}
        while True:
            page = self._ask("list_parts", Key=key, UploadId=begun[-1], **more)
            for part in page.get("Parts", ()):
                parts[part["PartNumber"]] = (part["Size"], part["ETag"].strip('"'))
            if not page.get("IsTruncated"):
                return str(begun[-1]), parts
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def _sum(self, data: bytes) -> dict[str, str]:
        if not self._checksums:
            return {}
        return {"ChecksumSHA256": _base64(hashlib.sha256(data).digest())}

    def _ask(self, verb: str, **asked: Any) -> Any:
        do = getattr(self._client, verb)
        return _asked(self.name, self._secrets, lambda: do(Bucket=self._bucket, **asked))


def part_size(size: int) -> int:
    """Bytes of each part of a file: a function of its size, so that every try has the same."""
    least = -(-size // _MOST_PARTS)
    return max(PART, -(-least // CHUNK) * CHUNK)


def _parts(one: Held, size: int) -> Iterator[bytes]:
    with one.file.open("rb") as source:
        while data := source.read(size):
            yield data


def _composites(one: Held) -> tuple[str, ...]:
    """S3's digest of an object in parts, of the digests of its parts; some leave out how many."""
    if one.size <= PART:
        return ()
    sums = [hashlib.sha256(data).digest() for data in _parts(one, part_size(one.size))]
    whole = _base64(hashlib.sha256(b"".join(sums)).digest())
    return whole, f"{whole}-{len(sums)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _type(key: str) -> str:
    return _TYPES.get(key.rpartition(".")[2], "application/octet-stream")


def _asked(name: str, secrets: tuple[str, ...], do: Callable[[], Any]) -> Any:
    """What a call gives, its complaints in our words."""
    from botocore import exceptions  # lazy, optional

    try:
        return do()
    except exceptions.ClientError as error:
        raise _meaning(name, secrets, error) from error
    except exceptions.NoCredentialsError as error:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        raise PublishError(f"{name}: no credentials were found", hint=hint) from error
    except (exceptions.BotoCoreError, exceptions.HTTPClientError, OSError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        for secret in secrets:
            told = told.replace(secret, "***")
        raise PublishError(Problem(f"{name}: no answer", got=told)) from error


def _meaning(name: str, secrets: tuple[str, ...], error: Any) -> PublishError:
    said = error.response.get("Error", {})
    code, told = str(said.get("Code", "")), str(said.get("Message", ""))
    for secret in secrets:
        told = told.replace(secret, "***")
    kinds: tuple[tuple[frozenset[str], type[PublishError]], ...] = (
        (_ABSENT, _AbsentError),
        (_TAKEN, TakenError),
        (_UNKNOWN, _UnknownError),
    )
    kind = next((made for codes, made in kinds if code in codes), PublishError)
    hint = _HINTS.get(code)
    message = f"{name}: {error.operation_name} was refused"
    return kind(Problem(message, got=f"{code} {told}".strip(), hint=hint))


_HINTS = {
    "NoSuchBucket": "make the bucket first",
    "AccessDenied": "the credentials need s3:ListBucket, GetObject and PutObject there",
    "403": "the credentials need s3:ListBucket, GetObject and PutObject there",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY or the profile",
}
