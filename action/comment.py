"""Writes the report as a comment on the pull request, or brings the one that is there up to date.

    python -I comment.py REPORT.md AUTHOR

Reads GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH and GITHUB_TOKEN. Standard library only:
it runs in whatever Python the job has. Source: https://docs.github.com/en/rest/issues/comments.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

PAGE = 100  # comments a request, the most that there can be
MOST_PAGES = 30
REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def main(report: str, author: str) -> int:
    """0 as well where the token may not write: a fork's may not, and that is no fault."""
    body = Path(report).read_text(encoding="utf-8")
    marker = body.split("\n", 1)[0]
    if not marker.startswith("<!-- mlbuild-report: "):
        return told("error", f"{report} does not begin with its marker")
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = int(event["pull_request"]["number"])
    repository = os.environ["GITHUB_REPOSITORY"]
    if not REPOSITORY.fullmatch(repository):
        return told("error", "GITHUB_REPOSITORY is no OWNER/NAME")
    base = f"{os.environ['GITHUB_API_URL'].rstrip('/')}/repos/{repository}/issues"
    try:
        known = find(f"{base}/{number}/comments", marker, author)
        if known is None:
            asked("POST", f"{base}/{number}/comments", {"body": body})
        else:
            asked("PATCH", f"{base}/comments/{known}", {"body": body})
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):
            why = "the token may not (a fork's never may; else: permissions: pull-requests: write)"
            return told("warning", f"no comment was written: {why}")
        return told("error", f"the comment could not be written: HTTP {error.code}")
    except urllib.error.URLError as error:
        return told("error", f"the comment could not be written: {error.reason}")
    return 0


def find(address: str, marker: str, author: str) -> "int | None":
    """Our earlier comment: of the author, and with the marker in its first line.

    A comment of anyone else may bear the marker too; it must not be changed in their name.
    """
    for page in range(1, MOST_PAGES + 1):
        comments = asked("GET", f"{address}?per_page={PAGE}&page={page}")
        for comment in comments:
            first = (comment.get("body") or "").split("\n", 1)[0].rstrip("\r")
            if first == marker and (comment.get("user") or {}).get("login") == author:
                return int(comment["id"])
        if len(comments) < PAGE:
            return None
    return None


def asked(method: str, address: str, body: "dict[str, str] | None" = None):
    """What the service answers, as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data, method=method)
    request.add_header("Accept", "application/vnd.github+json")
    request.add_header("Authorization", f"Bearer {os.environ['GITHUB_TOKEN']}")
    request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", "mlbuild")
    request.add_header("X-GitHub-Api-Version", "2022-11-28")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def told(level: str, text: str) -> int:
    """A line that the job's page shows; its exit code."""
    print(f"::{level}::{text}")  # noqa: T201
    return 1 if level == "error" else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
