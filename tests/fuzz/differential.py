"""Of many hostile frames, none that goes on is read otherwise by Python's, Node's or Go's JSON parser than it was judged.

    differential.py FRAMES-PROGRAM NODE GO-PROGRAM MUTATIONS SEEDS…

The program writes each frame that callgate would forward, with the id, method, name, uri and arguments that it judged.
"""
import json
import os
import subprocess
import sys
import tempfile

ACCEPTED_PER_MUTATION_MIN = 0.01  # so that the comparison is not about nothing

NODE_SCRIPT = """
const lines = require('fs').readFileSync(process.argv[1], 'utf8').split('\\n').filter(Boolean);
const text = (value) => JSON.stringify(value);
let wrong = 0;
const text_or_none = (value) => typeof value === 'string' ? value : '';
for (const line of lines) {
  const judged = JSON.parse(line), read = JSON.parse(judged.frame), params = read.params || {};
  const same = read.method === judged.method && text_or_none(params.name) === judged.name && text_or_none(params.uri) === judged.uri &&
    text(read.id) === (judged.id ? text(JSON.parse(judged.id)) : undefined) &&
    text(params.arguments) === (judged.arguments ? text(JSON.parse(judged.arguments)) : undefined);
  if (!same) { wrong += 1; console.log('node reads otherwise:', line); }
}
console.log(`${lines.length} frames read by node`);
process.exit(wrong ? 1 : 0);
"""


def text_or_none(value):
    return value if isinstance(value, str) else ""


def check_python(lines):
    wrong = 0
    for line in lines:
        judged = json.loads(line)
        read = json.loads(judged["frame"])
        params = read.get("params", {})
        same = (read["method"] == judged["method"] and text_or_none(params.get("name")) == judged["name"] and
                text_or_none(params.get("uri")) == judged["uri"] and
                ("id" in read) == bool(judged["id"]) and (not judged["id"] or read["id"] == json.loads(judged["id"])) and
                ("arguments" in params) == bool(judged["arguments"]) and
                (not judged["arguments"] or params["arguments"] == json.loads(judged["arguments"])))
        if not same:
            wrong += 1
            print("python reads otherwise:", line)
    print(f"{len(lines)} frames read by python")
    return wrong


def main():
    program, node, go, mutations, *seeds = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "frames")
        subprocess.run([program, mutations, *seeds], check=True, env={**os.environ, "CALLGATE_FRAMES": path})
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")[:-1]
        wrong = check_python(lines)
        sys.stdout.flush()
        wrong += subprocess.run([node, "-e", NODE_SCRIPT, path]).returncode
        wrong += subprocess.run([go, path]).returncode
    if len(lines) < ACCEPTED_PER_MUTATION_MIN * int(mutations):
        print(f"only {len(lines)} frames were accepted: too few to compare")
        wrong += 1
    sys.exit(1 if wrong else 0)


main()
