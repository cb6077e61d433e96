"""The conformance suite (@modelcontextprotocol/conformance), and what it found.

    check_server(server.url)                    {"ping": {("ping", "SUCCESS"): 1}, …}
    check_client(scenario="tools_call")         with the SDK client of node/conformance

Checks that the suite makes for information only are left out: they tell what went over the wire, not whether it was right.
"""
import collections
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .base import MODULES, NODE, NODE_DIRECTORY

SUITE = str(MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js")
CLIENT = f"{NODE} {NODE_DIRECTORY / 'conformance' / 'client.mjs'}"
_TIME = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")


def check_server(url, *, scenario=None, seconds=180):
    """What the suite finds of the server at `url`: in all its scenarios, or one."""
    return _run(["server", "--url", url], scenario, seconds)


def check_client(*, scenario=None, seconds=180):
    """What the suite's own servers find of the SDK client."""
    return _run(["client", "--command", CLIENT], scenario, seconds)


def _run(words, scenario, seconds):
    """{scenario: {(check, status): how many}}"""
    directory = Path(tempfile.mkdtemp(prefix="callgate-conformance-"))
    which = ["--scenario", scenario] if scenario else ["--suite", "all"]
    # Its exit code says whether checks failed; whether it ran is seen from what it left.
    try:
        done = subprocess.run([NODE, SUITE, *words, *which, "-o", str(directory)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds, cwd=directory, env={**os.environ, "NO_COLOR": "1"})
        found = {}
        for path in sorted(directory.rglob("checks.json")):
            name = _TIME.sub("", str(path.parent.relative_to(directory)))
            checks = [(check["id"], check["status"]) for check in json.loads(path.read_text())]
            found[name.removeprefix("server-") if words[0] == "server" else name] = collections.Counter(c for c in checks if c[1] != "INFO")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if not found:
        raise AssertionError(f"the conformance suite did nothing: {done.stdout[-2000:]}")
    return found


def passed(found):
    """Whether every check succeeded."""
    return all(status == "SUCCESS" for checks in found.values() for _, status in checks)
