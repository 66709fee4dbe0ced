"""Plays a CI service: runs the commands of a workflow, as its file has them, in clean clones.

A bare repository whose hook is this module is to a test what a service is to a team: a push to a
branch is a pull request, a push to main is a push. Whatever the workflow holds that is not known
here is an error, so that nothing of it is passed over in silence.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
_ZERO = "0" * 40
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.S)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<sign>&&|\|\||[!=]=|!|[()])|(?P<name>[A-Za-z_][\w.-]*))"
)
_SIGNS = {"&&": " and ", "||": " or ", "!": " not "}
# What the service brings and a machine with Python has already.
_NOTHING = ("actions/setup-python", "actions/cache")
# The distribution is on no index while it is tested: it is there already.
_SKIPPED = ("Install",)
_LONG = 5  # lines of a command that are too many to be shown


@dataclass
class Service:
    """Where a service keeps its things, and what it knows."""

    folder: Path  # for clones, artifacts and results
    origin: Path  # the bare repository
    workflow: str  # path in the repository
    env: dict[str, str]  # of every command
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def save(self) -> Path:
        path = self.folder / "service.json"
        path.write_text(json.dumps(asdict(self), default=os.fspath))
        return path

    @classmethod
    def read(cls, path: Path) -> Service:
        held = json.loads(path.read_text())
        held["folder"], held["origin"] = Path(held["folder"]), Path(held["origin"])
        return cls(**held)

    def results(self) -> list[dict[str, Any]]:
        """What became of each job: event, job, code."""
        path = self.folder / "results.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


def install_hook(service: Service) -> None:
    """Makes each push to the bare repository run the workflow."""
    hook = service.origin / "hooks" / "post-receive"
    command = [sys.executable, "-m", "tests.playing", os.fspath(service.save())]
    quoted = " ".join("'" + part.replace("'", "'\\''") + "'" for part in command)
    root = os.fspath(ROOT).replace("'", "'\\''")
    hook.write_text(f"#!/bin/sh\nPYTHONPATH='{root}' exec {quoted}\n")
    hook.chmod(0o755)


def pushed(service: Service, old: str, new: str, ref: str) -> None:
    """What the service does when a ref has changed."""
    kind, _, name = ref.removeprefix("refs/").partition("/")
    if kind != "heads" or new == _ZERO:
        return
    event = "push" if name == "main" else "pull_request"
    print(f"{event} of {name}", flush=True)
    text = subprocess.run(
        ["git", "--git-dir", service.origin, "show", f"{new}:{service.workflow}"],
        capture_output=True,
        text=True,
        check=True,
        env=service.env,
    ).stdout
    play(service, yaml.safe_load(text), event, new, name)


def play(
    service: Service, workflow: Mapping[str, Any], event: str, commit: str, branch: str
) -> None:
    """All jobs that the event calls for, in their order."""
    context = _context(service, event, branch)
    ended: dict[str, int] = {}
    for name, job in workflow["jobs"].items():
        if any(need not in ended for need in _list(job.get("needs"))):
            continue
        before = max([ended[need] for need in _list(job.get("needs"))], default=0)
        if not wanted(job.get("if"), context, failed=before != 0):
            continue
        print(f"== {name}", flush=True)
        run = _Run(service, workflow, context, commit, service.folder / f"{commit[:8]}-{name}")
        ended[name] = run.job(job)
        print(f"== {name}: {'ok' if ended[name] == 0 else f'exit {ended[name]}'}", flush=True)
        with (service.folder / "results.jsonl").open("a") as file:
            file.write(json.dumps({"event": event, "job": name, "code": ended[name]}) + "\n")


@dataclass
class _Run:
    """One job on its way."""

    service: Service
    workflow: Mapping[str, Any]
    context: Mapping[str, Any]
    commit: str
    place: Path

    def job(self, job: Mapping[str, Any]) -> int:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        code = 0
        for step in job["steps"]:
            if not wanted(step.get("if"), self.context, failed=code != 0):
                continue
            done = self._uses(step) if "uses" in step else self._runs(job, step)
            code = code or done
        return code

    def _uses(self, step: Mapping[str, Any]) -> int:
        action, given = step["uses"].partition("@")[0], step.get("with", {})
        if action == "actions/checkout":
            assert given["fetch-depth"] == 0
            clone = ["git", "clone", "-q", os.fspath(self.service.origin), os.fspath(self.place)]
            subprocess.run(clone, check=True, env=self.service.env)
            checkout = ["git", "-C", os.fspath(self.place), "checkout", "-q", self.commit]
            return subprocess.run(checkout, check=True, env=self.service.env).returncode
        if action == "actions/upload-artifact":
            return self._upload(given)
        if action == "actions/download-artifact":
            held, target = self._artifact(given), self.place / given.get("path", ".")
            if not held.is_dir():
                print(f"there is no artifact {given['name']}", flush=True)
                return 1
            shutil.copytree(held, target, dirs_exist_ok=True)
            return 0
        assert action in _NOTHING, f"nobody knows how to play {action}"
        return 0

    def _upload(self, given: Mapping[str, Any]) -> int:
        source, target = self.place / given["path"], self._artifact(given)
        assert source.exists() or given["if-no-files-found"] == "ignore"
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        return 0

    def _artifact(self, given: Mapping[str, Any]) -> Path:
        return self.service.folder / "artifacts" / self.commit / given["name"]

    def _runs(self, job: Mapping[str, Any], step: Mapping[str, Any]) -> int:
        if step.get("name") in _SKIPPED:
            return 0
        assert "${{" not in step["run"], "a command takes what others say as a variable only"
        env = {
            **self.service.env,
            "GITHUB_STEP_SUMMARY": os.fspath(self.service.folder / "summary.md"),
            "GITHUB_BASE_REF": "main",
        }
        for level in (self.workflow, job, step):
            for key, value in (level.get("env") or {}).items():
                env[key] = _filled(str(value), self.context)
        lines = step["run"].rstrip().splitlines()
        shown = lines if len(lines) < _LONG else lines[:1]
        print("\n".join(f"$ {line}" for line in shown), flush=True)
        script = ["bash", "-e", "-c", step["run"]]
        return subprocess.run(script, cwd=self.place, env=env, stderr=subprocess.STDOUT).returncode


def _context(service: Service, event: str, branch: str) -> dict[str, Any]:
    number, repository = "7", "team/project"
    pull = {"number": number, "head": {"repo": {"full_name": repository}}}
    github = {
        "event_name": event,
        "repository": repository,
        "token": "the token of the job",
        "event": {"pull_request": pull if event == "pull_request" else {}},
    }
    return {
        "github": github,
        "secrets": service.secrets,
        "vars": service.variables,
        "inputs": {},
    }


def wanted(condition: str | None, context: Mapping[str, Any], *, failed: bool) -> bool:
    """Whether a job or a step is to run; without a word on failures, only if nothing failed."""
    text = (condition or "").strip()
    inner = _EXPRESSION.fullmatch(text)
    text = inner[1] if inner else text
    if failed and "cancelled()" not in text:
        return False
    return bool(evaluate(text, context)) if text else True


def evaluate(text: str, context: Mapping[str, Any]) -> Any:
    """The value of an expression of GitHub's language, as far as ours need it."""
    text = text.strip().replace("cancelled()", "false")
    python, place = [], 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        assert found, f"nobody knows how to read {text[place:]!r}"
        if found["name"]:
            python.append(repr(_value(found["name"], context)))
        elif found["text"]:
            python.append(repr(found["text"][1:-1].replace("''", "'")))
        else:
            python.append(_SIGNS.get(found["sign"], found["sign"]))
        place = found.end()
    return eval("".join(python), {"__builtins__": {}})  # literals and operators alone


def _value(name: str, context: Mapping[str, Any]) -> Any:
    if name in ("true", "false"):
        return name == "true"
    at: Any = context
    first, *rest = name.split(".")
    at = at[first]  # an unknown context is an error, an unknown name in it is nothing
    for part in rest:
        at = at.get(part, "") if isinstance(at, Mapping) else ""
    return at


def _filled(text: str, context: Mapping[str, Any]) -> str:
    return _EXPRESSION.sub(lambda found: str(evaluate(found[1], context)), text)


def _list(needs: str | list[str] | None) -> list[str]:
    return [needs] if isinstance(needs, str) else needs or []


def _changed(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    for line in lines:
        old, new, ref = line.split()
        yield old, new, ref


if __name__ == "__main__":
    for change in _changed(iter(sys.stdin)):
        pushed(Service.read(Path(sys.argv[1])), *change)
