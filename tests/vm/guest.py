"""What happens on a host of the matrix: the steps of plan.json, one after the other, each a file of tests. What came of each is
told on the second serial line, a JSON object a line; the exit code says whether all of them passed."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
plan = json.loads((HERE / "plan.json").read_text())
environment = {**os.environ, **plan["environment"], "CALLGATE_SHORT": "1", "CALLGATE_BINARY": str(HERE / "build" / "callgate"),
               "CALLGATE_MCP_SERVER": str(HERE / "build" / "tests" / "harness" / "mcp_server"),
               "PYTHONPATH": str(HERE / "tests" / "e2e")}


def tell(**what):
    with open("/dev/ttyS1", "w") as line:
        line.write(json.dumps(what) + "\n")


def counted(said, word):
    found = re.findall(rf"{word}=(\d+)", said)
    return int(found[-1]) if found else 0


def run(file, tests):
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-B", str(HERE / "tests" / file), "-v", *tests], env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as process:
        said = []
        for line in process.stdout:
            said.append(line)
            print(line, end="", flush=True)
    said = "".join(said)
    ran = sum(map(int, re.findall(r"^Ran (\d+) tests? in", said, re.M)))
    bad = counted(said, "failures") + counted(said, "errors")
    skipped = counted(said, "skipped")
    good = process.returncode == 0 and ran > 0 and not skipped
    tell(file=file, ran=ran, passed=ran - min(ran, bad) - skipped, good=good, seconds=round(time.monotonic() - started))
    return good


doctor = subprocess.run([environment["CALLGATE_BINARY"], "doctor", "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                        text=True)
print(doctor.stderr, flush=True)
tell(doctor=json.loads(doctor.stdout or "{}"), code=doctor.returncode)
results = [run(file, tests) for file, tests in plan["steps"]]
sys.exit(0 if all(results) else 1)
