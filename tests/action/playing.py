"""Plays a job that uses the action: expressions, and every step in its order."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.action.service import Service
from tests.conftest import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.S)

TOKEN = re.compile(r"\s*(\|\||&&|==|!=|!|'(?:[^']|'')*'|[A-Za-z_][\w.-]*)")


def value_of(expression: str, contexts: Mapping[str, Any]) -> Any:
    """An expression's value; the operators that are used here, by their documented precedence."""
    tokens = TOKEN.findall(expression)
    assert "".join(tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", expression), expression

    def either() -> Any:
        found = both()
        while tokens and tokens[0] == "||":
            tokens.pop(0)
            other = both()
            found = found or other
        return found

    def both() -> Any:
        found = equal()
        while tokens and tokens[0] == "&&":
            tokens.pop(0)
            other = equal()
            found = found and other
        return found

    def equal() -> Any:
        found = single()
        while tokens and tokens[0] in ("==", "!="):
            same = tokens.pop(0) == "=="
            found = (str(found) == str(single())) is same
        return found

    def single() -> Any:
        token = tokens.pop(0)
        if token == "!":
            return not single()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        found: Any = contexts
        for part in token.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return "" if found is None else found

    return either()


def filled(text: str, contexts: Mapping[str, Any]) -> str:
    return EXPRESSION.sub(lambda m: str(value_of(m[1].strip(), contexts)), text)


class Job:
    """Plays a job that uses the action: every step in its order, with what the runner gives it."""

    def __init__(self, repository: Path, work: Path, service: Service, cache: Path) -> None:
        self.repository, self.service, self.cache = repository, service, cache
        self.temp = work / "runner temp"
        self.temp.mkdir(parents=True)
        self.summary = work / "summary.md"
        self.uploaded: dict[str, list[str]] = {}
        self.cached: list[str] = []
        self.outputs: dict[str, dict[str, str]] = {}
        self.log = ""

    def run(self, event_name: str, event: Mapping[str, Any], **inputs: str) -> bool:
        given = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        github = {"event_name": event_name, "event": event, "token": "secret-token"}
        (self.temp / "event.json").write_text(json.dumps(event))
        contexts: dict[str, Any] = {
            "github": github,
            "runner": {"os": "Linux", "arch": "X64"},
            "steps": {},
        }
        contexts["inputs"] = {name: filled(value, contexts) for name, value in given.items()}
        contexts["inputs"]["token"] = contexts["inputs"]["token"] or "secret-token"
        ok = True
        for step in STEPS:
            wanted = step.get("if", "${{ 'true' }}")
            if ok and value_of(EXPRESSION.fullmatch(wanted)[1].strip(), contexts):  # type: ignore[index]
                ok = self._step(step, contexts)
        self.outputs["action"] = {
            name: filled(entry["value"], contexts) for name, entry in ACTION["outputs"].items()
        }
        return ok

    def _step(self, step: dict[str, Any], contexts: dict[str, Any]) -> bool:
        given = {k: filled(v, contexts) for k, v in step.get("with", {}).items()}
        env = {k: filled(v, contexts) for k, v in step.get("env", {}).items()}
        outputs: dict[str, str] = {}
        ok = True
        if "uses" in step:
            outputs = self._other(step["uses"].partition("@")[0], given)
        else:
            file = self.temp / "output"
            file.write_text("")
            ok = self._shell(step, env, file)
            outputs = read_outputs(file.read_text())
        if "id" in step:
            contexts["steps"][step["id"]] = {"outputs": outputs}
            self.outputs[step["id"]] = outputs
        return ok

    def _other(self, action: str, given: dict[str, str]) -> dict[str, str]:
        if action == "actions/setup-python":
            assert given["python-version"] == "3.11"
            return {"python-path": str(self.temp / "python"), "python-version": "3.11.7"}
        if action == "actions/cache/restore":
            return {"cache-hit": "false", "cache-primary-key": given["key"]}
        if action == "actions/cache/save":
            self.cached = given["path"].split()
            assert given["key"].startswith("mlbuild-Linux-X64-3.11.7-torch-")
            return {}
        assert action == "actions/upload-artifact"
        self.uploaded[given["name"]] = sorted(p.name for p in Path(given["path"]).iterdir())
        return {}

    def _shell(self, step: dict[str, Any], env: dict[str, str], output: Path) -> bool:
        assert step["shell"] == "bash"
        script = self.temp / "step.sh"
        script.write_text(step["run"])
        runner = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "CI": "true",
            "PIP_NO_BUILD_ISOLATION": "1",  # the build's own needs are installed already
            "MLBUILD_CACHE_DIR": str(self.cache),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_API_URL": self.service.address,
            "GITHUB_EVENT_PATH": str(self.temp / "event.json"),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_REPOSITORY": "ann/dogs",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.temp),
        }
        done = subprocess.run(  # as the runner calls it
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.repository,
            env={**runner, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        self.log += f"== {step['name']}\n{done.stdout}{done.stderr}"
        return done.returncode == 0


def read_outputs(text: str) -> dict[str, str]:
    """GITHUB_OUTPUT: NAME=VALUE, or NAME<<END, lines, END."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, sign, value = re.match(r"([A-Za-z0-9_-]+)(<<|=)(.*)", line).groups()  # type: ignore[union-attr]
        if sign == "<<":
            rest = []
            for more in lines:
                if more == value:
                    break
                rest.append(more)
            value = "\n".join(rest)
        found[name] = value
    return found
