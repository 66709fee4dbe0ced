"""The tags of a release, as GTO writes them: `dogs@v1.2.0`, and `dogs#prod#3` for channels.

A tag is made as an object, pushed, and only then given its name here: what a remote refuses is
nowhere to be seen. Its message carries the interface of the models, so that the next release can be
compared with this one in any clone.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import DataError, Problem, UsageError, did_you_mean
from mlbuild.records import Json, ReleaseSpec
from mlbuild.release.facts import ReleaseFacts
from mlbuild.release.interface import interface_of
from mlbuild.released import full_name, git, git_process, head_commit

REMOTE = "origin"
_RECORD = "mlbuild-release: "
_FORMAT = 1
_COUNTED = re.compile(r"[^@#]+#([^#!@]+)(!?)#(\d+)")


@dataclass(frozen=True, slots=True)
class NewTag:
    """A tag that is to be made."""

    name: str
    commit: str
    message: str


def version_tag(facts: ReleaseFacts, manifest: str) -> NewTag:
    """The tag of a release; the same facts make the same message.

    Args:
        facts: of the release.
        manifest: SHA-256 of its manifest.json.
    """
    record = {
        "version": _FORMAT,
        "manifest": manifest,
        "pipeline": facts.pipeline,
        "card": card_digest(facts.card),
        "reason": facts.reason,
        "waivers": {f"{g.stage}.{g.metric}": g.waiver for g in facts.gates if g.waiver},
        "artifacts": {
            a.name: {
                "type": a.type,
                "stage": a.stage,
                "output": a.output,
                "md5": a.md5,
                "size": a.size,
                "model": interface_of(a.model) if a.model else None,
            }
            for a in facts.artifacts
        },
    }
    line = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    why = "\n".join((*facts.change.why, *([facts.reason] if facts.reason else [])))
    return NewTag(
        facts.tag,
        facts.commit,
        f"{facts.name} {facts.version}\n\n{why}\n\n{_RECORD}{line}\n",
    )


def record_in(root: Path, tag: str) -> Mapping[str, Json] | None:
    """What mlbuild wrote into a tag's message; None where somebody else made the tag."""
    if git(root, "cat-file", "-t", f"refs/tags/{tag}").strip() != "tag":
        return None
    text = git(root, "cat-file", "tag", f"refs/tags/{tag}")
    line = next((row for row in text.splitlines() if row.startswith(_RECORD)), None)
    if line is None:
        return None
    try:
        found = json.loads(line.removeprefix(_RECORD))
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    if isinstance(found.get("version"), int) and found["version"] > _FORMAT:
        what = f"tag {tag} was written by a newer mlbuild (format {found['version']})"
        raise DataError(Problem(what, hint=f"this one knows format {_FORMAT}: upgrade it"))
    return found


def subject_of(root: Path, tag: str) -> str:
    """The first line of what somebody wrote into a tag; "" for a light one."""
    if git(root, "cat-file", "-t", f"refs/tags/{tag}").strip() != "tag":
        return ""
    _, _, message = git(root, "cat-file", "tag", f"refs/tags/{tag}").partition("\n\n")
    return message.strip().partition("\n")[0].strip()


def card_digest(card: Mapping[str, Json]) -> str:
    """By which one sees that a model card's texts were changed."""
    from mlbuild.fingerprint import digest

    return digest("release-card", dict(card))


def channel_tags(
    root: Path, name: str, commit: str, channels: Iterable[str], version: str
) -> list[NewTag]:
    """The tags that put a commit's release into channels in which it is not yet the latest."""
    full = full_name(root, name)
    latest, count = _assigned(root, full)
    made = []
    for channel in dict.fromkeys(channels):
        if latest.get(channel) == commit:
            continue
        count += 1
        message = f"{name} {version} is in channel {channel}\n"
        made.append(NewTag(f"{full}#{channel}#{count}", commit, message))
    return made


def channels_of(root: Path, name: str, commit: str) -> list[str]:
    """The channels whose latest release is that of a commit."""
    latest, _ = _assigned(root, full_name(root, name))
    return sorted(channel for channel, at in latest.items() if at == commit)


def _assigned(root: Path, full: str) -> tuple[dict[str, str | None], int]:
    """Channel -> the commit that is in it, and the highest number that was given."""
    listed = git(
        root,
        "for-each-ref",
        "--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)",
        "refs/tags/",
    )
    rows = [line.split("\0") for line in listed.splitlines() if line.startswith(f"{full}#")]
    found = [(int(m[3]), m, peeled or own) for t, own, peeled in rows if (m := _parsed(t, full))]
    latest: dict[str, str | None] = {}
    for _, match, commit in sorted(found, key=lambda row: row[0]):
        latest[match[1]] = None if match[2] else commit
    return latest, max((number for number, _, _ in found), default=0)


def _parsed(tag: str, full: str) -> re.Match[str] | None:
    return _COUNTED.fullmatch(tag) if tag.startswith(f"{full}#") else None


def remote_tags(root: Path, name: str) -> dict[str, str] | None:
    """The releases and channels that the remote knows: tag -> commit; None without a remote.

    Raises:
        DataError: the remote cannot be reached.
    """
    if not has_remote(root):
        return None
    full = full_name(root, name)
    listed = git(root, "ls-remote", "--tags", REMOTE)
    found: dict[str, str] = {}
    for line in listed.splitlines():
        digest, _, ref = line.partition("\t")
        tag = ref.removeprefix("refs/tags/").removesuffix("^{}")
        if tag.startswith((f"{full}@", f"{full}#")) and (ref.endswith("^{}") or tag not in found):
            found[tag] = digest
    return found


def has_remote(root: Path) -> bool:
    """Whether there is a place to push tags to."""
    return REMOTE in git(root, "remote").split()


def unpushed(root: Path, name: str, commit: str) -> list[str]:
    """The release's tags of a commit that are in this clone alone: it was released --no-push."""
    there = remote_tags(root, name) or {}
    full = full_name(root, name)
    listed = git(root, "tag", "--points-at", commit).split()
    return [t for t in listed if t.startswith((f"{full}@", f"{full}#")) and t not in there]


def make(root: Path, tags: Sequence[NewTag], late: Sequence[str] = (), *, push: bool) -> list[str]:
    """Makes tags: all of them or none, on the remote first.

    Args:
        root: the project.
        tags: that do not exist yet.
        late: that exist here, and are to be pushed along.
        push: whether to push them.

    Returns:
        Their names.

    Raises:
        DataError: the remote has one of them already, or refused; none was made.
    """
    objects = [(tag, _object(root, tag)) for tag in tags]
    refs = {name: f"refs/tags/{name}" for name in late}
    refs |= {tag.name: digest for tag, digest in objects}
    if push and refs:
        _push(root, refs)
    for tag, digest in objects:
        git(root, "update-ref", f"refs/tags/{tag.name}", digest, "")
    return list(refs)


def fetch_own(root: Path, name: str, *, ask: bool) -> None:
    """Brings the tags of HEAD that only the remote has: a release was cut off after its push."""
    head = head_commit(root)
    known = set(git(root, "tag", "--list").split())
    away = remote_tags(root, name) if ask else None
    for tag, commit in (away or {}).items():
        if commit == head and tag not in known:
            git(root, "fetch", "--no-tags", "--quiet", REMOTE, f"refs/tags/{tag}:refs/tags/{tag}")


def check_channels(spec: ReleaseSpec, channels: Sequence[str]) -> None:
    """Raises a UsageError for channels that the pipeline file does not name."""
    for channel in channels:
        if channel not in spec.channels:
            hint = did_you_mean(channel, spec.channels) or "release: {channels: [...]} names them"
            what = f"--channel {channel}: there is no such channel"
            raise UsageError(Problem(what, allowed=spec.channels, hint=hint))


def require_manifest(root: Path, tag: str, manifest: str) -> None:
    """Raises a DataError if a tag tells of other bytes than those that were put together now."""
    record = record_in(root, tag)
    if record is None or record.get("manifest") == manifest:
        return
    what = f"what is put together from this commit is not what {tag} was made for"
    hint = "release with the version of mlbuild, and the profiles, that made it; or a new version"
    got = f"manifest.json with SHA-256 {manifest}"
    raise DataError(Problem(what, got=got, allowed=(str(record.get("manifest")),), hint=hint))


def _object(root: Path, tag: NewTag) -> str:
    tagger = git(root, "var", "GIT_COMMITTER_IDENT").strip()
    text = f"object {tag.commit}\ntype commit\ntag {tag.name}\ntagger {tagger}\n\n{tag.message}"
    done = git_process(root, ["mktag"], text.encode("utf-8"))
    if done.returncode:
        got = done.stderr.decode("utf-8", "replace").strip()
        raise DataError(Problem(f"git could not make the tag {tag.name}", got=got))
    return done.stdout.decode().strip()


def _push(root: Path, tags: Mapping[str, str]) -> None:
    """Pushes tags, name -> object, all or none."""
    refs = [f"{what}:refs/tags/{name}" for name, what in tags.items()]
    done: subprocess.CompletedProcess[bytes] = git_process(
        root, ["push", "--quiet", "--porcelain", "--atomic", REMOTE, *refs]
    )
    if done.returncode == 0:
        return
    told = (done.stderr + done.stdout).decode("utf-8", "replace").strip()
    names = ", ".join(tags)
    if "already exists" in told:
        what = f"{REMOTE} has one of the tags {names} already: somebody else released meanwhile"
        hint = "git fetch --tags, and release again: the version is decided anew"
        raise DataError(Problem(what, got=_what_matters(told), hint=hint))
    what = f"the tags {names} could not be pushed to {REMOTE}"
    hint = "put that right and release again: it goes on from here"
    raise DataError(Problem(what, got=_what_matters(told), hint=hint))


def _what_matters(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matter = [line for line in lines if line.startswith(("remote:", "fatal:", "error:", "!"))]
    return " / ".join((matter or lines)[:4])
