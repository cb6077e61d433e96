"""The role, run against this host in a mount namespace of its own: /etc and /usr/bin are written to nowhere else."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

ROLES = Path(__file__).resolve().parent.parent.parent / "packaging/ansible"
# Of systemctl only what the module asks for; what changes something is written down. The package is not installed: there is
# no such family of systems.
SYSTEMCTL = """#!/bin/sh
case "$*" in
  show*) printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\nUnitFileState=enabled\\n' ;;
  is-*) echo enabled ;;
  "$FAILS") exit 1 ;;
  *) echo "$*" >>"$CALLS" ;;
esac
"""
IN_NAMESPACE = """
mount -t tmpfs none "$1"
for of in etc usr/bin; do
  mkdir -p "$1/$of/upper" "$1/$of/work"
  mount -t overlay none -o "lowerdir=/$of,upperdir=$1/$of/upper,workdir=$1/$of/work" "/$of"
done
rm -rf /etc/callgate
cp -a "$2" /etc/callgate
cp "$3" /usr/bin/callgate
cp "$4" /usr/bin/systemctl
ansible-playbook --connection local --inventory localhost, "$5" || code=$?
rm -rf "$2"
cp -a /etc/callgate "$2"
exit "${code:-0}"
"""


class Host:
    """What is at `configuration` is its /etc/callgate."""

    def __init__(self, place, program):
        self.place, self.program = Path(tempfile.mkdtemp(dir=place)), program
        self.configuration, self.policies = self.place / "callgate", self.place / "policies"
        for directory in (self.configuration / "policies.d", self.policies, self.place / "upper", self.place / "tmp"):
            directory.mkdir(parents=True)
        self.calls = self.place / "calls"
        self.systemctl = self.place / "systemctl"
        self.systemctl.write_text(SYSTEMCTL)
        self.systemctl.chmod(0o755)
        (self.place / "package").write_text("")

    def play(self, config, fails="nothing", **more):
        """The exit code, what was said, and what systemctl was asked for."""
        self.calls.write_text("")
        variables = {"callgate_package": str(self.place / "package"), "callgate_config": config, "callgate_policies": str(self.policies),
                     **more}
        facts = {"ansible.builtin.set_fact": {"os_family": "None", "cacheable": True}}
        role = {"ansible.builtin.include_role": {"name": "callgate"}, "vars": variables}
        playbook = self.place / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [facts, role]}]))
        environment = {**os.environ, "ANSIBLE_ROLES_PATH": str(ROLES), "ANSIBLE_LOCALHOST_WARNING": "no", "LC_ALL": "C.UTF-8", "CALLS": str(self.calls),
                       "FAILS": fails, "ANSIBLE_LOCAL_TEMP": str(self.place / "tmp"), "TMPDIR": str(self.place / "tmp"), "HOME": str(self.place)}
        words = ["unshare", "--mount", "sh", "-euc", IN_NAMESPACE, "sh", self.place / "upper", self.configuration, self.program, self.systemctl,
                 playbook]
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment,
                              timeout=300)
        return done.returncode, done.stdout + done.stderr, self.calls.read_text().splitlines()

    def files(self):
        return {str(path.relative_to(self.configuration)): path.read_text() for path in self.configuration.rglob("*") if path.is_file()}

    def left_over(self):
        return [path for path in (self.place / "tmp").iterdir() if path.name.startswith("callgate.")]
