"""callgate doctor on this host: it looks at the host, the configuration, and what the agent may have."""
import resource
import tempfile
import time
from pathlib import Path

from governed import *  # noqa: F403
from governed import BINARY, MCP_SERVER, NOTES_PY, EndToEnd, callgate, json, main, os, policy_for, subprocess


class TestDoctor(EndToEnd):
    def test_each_line(self):
        """With and without an agent beside it: it looks at the host."""
        for governed in (False, True):
            with self.case(governed=governed):
                if governed:
                    self.agent({})
                done = callgate("doctor", "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                report = json.loads(done.stdout)
                self.assertEqual({c["state"] for c in report["checks"] if c["name"] in ("kernel", "btf", "bpf", "listeners", "ptrace", "pidfd", "seccomp", "io_uring")},
                                 {"ok"})
                self.assertEqual([each.split(":")[0] for each in report["mechanism"]],
                                 ["candidates", "reads", "hold", "stop", "relay", "listeners",
                                  "reads with splice, tee and io_uring", "AF_UNIX listeners"])
                self.assertIn("traces", json.dumps(report["blind"]))
                readable = callgate("doctor").stdout
                for each in [*report["mechanism"], *report["blind"], *(c["name"] for c in report["checks"])]:
                    self.assertIn(each, readable)

    def test_looks_at_configuration_and_policies(self):
        agent = self.agent({"p": policy_for(NOTES_PY)})
        directory = agent.config_directory

        def checks():
            found = json.loads(callgate("doctor", "--json", "--config", directory).stdout)["checks"]
            return {check["name"]: check for check in found if check["name"] in ("configuration", "policies")}

        states = lambda: {name: check["state"] for name, check in checks().items()}  # noqa: E731
        self.assertEqual(states(), {"configuration": "ok", "policies": "ok"})
        (directory / "policies.d" / "p.json").chmod(0o666)
        self.assertEqual(states(), {"configuration": "ok", "policies": "degraded"})
        self.assertIn("chmod go-w", checks()["policies"]["detail"])
        (directory / "policies.d").chmod(0o777)
        self.assertEqual(states(), {"configuration": "ok", "policies": "failed"})
        directory.chmod(0o777)
        self.assertEqual(states()["configuration"], "failed")
        self.assertEqual(callgate("doctor", "--config", directory).returncode, 1)
        directory.chmod(0o755)
        (directory / "callgate.json").unlink()
        self.assertEqual(states(), {"configuration": "failed"})  # an agent that is told to read it does not start
        self.assertIn("--config", checks()["configuration"]["remedy"])

    def test_is_of_one_mind_with_an_agent_that_starts(self):
        """What it calls good starts; with what it calls failed the agent gives up, with an exit code after which nobody tries again."""
        webhook = {"url": "https://example.invalid/"}

        def put(name, text, mode=0o600):
            def spoil(place):
                path = place / name
                path.parent.mkdir(mode=0o700, exist_ok=True)
                path.write_text(text)
                path.chmod(mode)
                return {}
            return spoil

        def secret(text, mode):
            def spoil(place):
                put("secret", text, mode)(place)
                return {"approvals": {"webhook": {**webhook, "secret_file": f"{place}/secret"}}}
            return spoil

        def says(**more):
            return lambda place: json.loads(json.dumps(more).replace("PLACE", str(place)))

        def theirs(place):
            (place / "theirs").mkdir()
            os.chown(place / "theirs", 1234, 1234)

        def told_there(**more):
            return lambda place: (theirs(place), says(**more)(place))[1]

        def linked_there(place):
            theirs(place)
            (place / "etc" / "policies.d").rename(place / "policies")
            (place / "theirs" / "link").symlink_to(place / "policies")
            (place / "etc" / "policies.d").symlink_to(place / "theirs" / "link")
            return {}

        cases = {
            "good": (says(), None),
            "one directory is made": (says(state_directory="PLACE/a", audit={"file": "PLACE/b/audit"}, control={"socket": "PLACE/c/s"}), None),
            "a good secret": (secret("0123456789abcdef", 0o600), None),
            "no secret of a webhook's": (says(approvals={"webhook": {**webhook, "secret_file": "PLACE/none"}}), "PLACE/none"),
            "a secret that others may read": (secret("0123456789abcdef", 0o640), "chmod 0600"),
            "a short secret": (secret("short", 0o600), "16 to 4096 bytes"),
            "a secret of its own that others may read": (
                lambda place: (put("state/webhook.secret", "0123456789abcdef", 0o640)(place), {"approvals": {"webhook": webhook}})[1],
                "chmod 0600"),
            "a hash secret that others may read": (put("state/audit.secret", "x" * 32, 0o640), "the hash secret"),
            "a hash secret that is short": (put("state/audit.secret", "x"), "32 bytes"),
            "a database that others may read": (put("state/state.db", "", 0o640), "chmod 0600"),
            "a database that is none": (lambda place: (put("state/x", "")(place), (place / "state/state.db").mkdir())[1] or {}, "is no file"),
            "the state directory is a file": (put("state", ""), "is no directory"),
            "the control socket is a file": (put("control", ""), "no socket"),
            "the state directory is three directories deep": (says(state_directory="PLACE/a/b/c"), "No such file"),
            "the audit log is two directories deep": (says(audit={"file": "PLACE/a/b/audit"}), "No such file"),
            "the control socket is two directories deep": (says(control={"socket": "PLACE/a/b/control"}), "No such file"),
            "the audit log in somebody's directory": (told_there(audit={"file": "PLACE/theirs/audit"}), "belongs to user 1234"),
            "the control socket in somebody's directory": (told_there(control={"socket": "PLACE/theirs/control"}), "belongs to user 1234"),
            "policies by somebody's link": (linked_there, "belongs to user 1234"),
            "too many cgroups": (says(scope={"cgroups": ["/sys/fs/cgroup"] * 17}), "more than 16 cgroups"),
            "too many users": (says(scope={"users": list(range(65))}), "more than 64 users"),
        }
        for name, (spoil, expected) in cases.items():
            with tempfile.TemporaryDirectory() as directory, self.case(name=name):
                place = Path(directory)
                config = place / "etc"
                (config / "policies.d").mkdir(parents=True)
                said = {"state_directory": f"{place}/state", "audit": {"file": f"{place}/audit"}, "control": {"socket": f"{place}/control"},
                        **spoil(place)}
                said["scope"] = {**said.get("scope", {}), "trees": [os.getpid()]}
                (config / "callgate.json").write_text(json.dumps(said))
                doctor = callgate("doctor", "--json", "--config", config)
                checks = [c for c in json.loads(doctor.stdout)["checks"] if c["name"] in ("configuration", "policies")]
                found = next((c for c in checks if c["state"] == "failed"), checks[0])
                agent = subprocess.Popen([str(BINARY), "run", "--config", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
                if "ready" in agent.stdout.readline():
                    agent.terminate()
                _, log = agent.communicate(timeout=30)
                self.assertEqual((agent.returncode, found["state"]), (78, "failed") if expected else (0, "ok"), f"{found}\n{log}")
                if expected:
                    self.assertEqual(doctor.returncode, 1)
                    for text in (found["detail"], log):
                        self.assertIn(expected.replace("PLACE", str(place)), text)

    def test_what_is_read_only_for_the_agent_alone_can_be_written(self):
        """As for a service with ProtectSystem=strict: others than the agent see the place as it is. A volume of a pod, of which the
        host knows nothing there, is read-only."""
        mounted = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0" doctor --json --config "$1"'
        host = ""
        if not os.access("/proc/1/root", os.F_OK):  # in a sandbox: this mount namespace as it was, in its stead
            host = 'mkdir "$2/host" && mount --bind / "$2/host" && ln -s "$2/host" "$2/root" && mount --bind "$2" /proc/1 && '
        for of_pod in (False, True):
            with self.case(of_pod=of_pod):
                place, first = self.directory(), self.directory()
                (place / "callgate.json").write_text("{}")
                (place / "policies.d").mkdir()
                place.chmod(0o777)
                volume = f'mount -t tmpfs -o mode=777 none "$1" && echo "{{}}" >"$1/callgate.json" && mkdir "$1/policies.d" && '
                done = subprocess.run(["unshare", "--mount", "sh", "-c", host + (volume if of_pod else "") + mounted, BINARY, place, first],
                                      capture_output=True, text=True)
                said = next(c for c in json.loads(done.stdout)["checks"] if c["name"] == "configuration")
                self.assertEqual(said["state"], "ok" if of_pod else "failed", said)
                self.assertEqual("can be written by others" in said["detail"], not of_pod, said)

    def test_looks_at_the_clock(self):
        wrong_by = self.directory() / "clock"
        library = Path(MCP_SERVER).parent / "set_clock.so"

        def clock(nanoseconds):
            wrong_by.write_bytes(nanoseconds.to_bytes(8, "little", signed=True))
            done = subprocess.run([str(BINARY), "doctor", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                                  env={**os.environ, "LD_PRELOAD": str(library), "CALLGATE_CLOCK": str(wrong_by),
                                       "ASAN_OPTIONS": "verify_asan_link_order=0"})
            return done.returncode, next(c for c in json.loads(done.stdout)["checks"] if c["name"] == "clock")

        self.assertIn(clock(0)[1]["state"], ("ok", "degraded"))  # who keeps it is the host's affair
        code, found = clock(-time.time_ns())
        self.assertEqual((code, found["state"]), (1, "failed"), found)
        self.assertIn("1970-01-01", found["detail"])

    def test_looks_at_the_limit_of_tasks(self):
        mount = next(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup2")
        version1 = next((line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()
                         if line.split()[2] == "cgroup" and "pids" in line.split()[3].split(",")), None)
        group = Path(version1 or mount) / f"callgate-test-{os.getpid()}"
        group.mkdir()
        self.addCleanup(group.rmdir)
        (group / "pids.max").write_text("20")
        done = subprocess.run(["bash", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(group), str(BINARY), "doctor", "--json"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        found = next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "tasks")
        self.assertEqual((done.returncode, found["state"]), (1, "failed"), found)
        self.assertIn("20", found["detail"])
        self.assertIn("TasksMax", found["remedy"])

    def test_looks_at_the_limits_of_the_agent_that_runs(self):
        """Of which a unit or a container gives it others than a shell has."""
        agent = self.agent({}, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4321, 4321)))

        def descriptors():
            checks = json.loads(agent.command("doctor", "--json").stdout)["checks"]
            return next(check["detail"] for check in checks if check["name"] == "descriptors")

        self.assertIn("of the agent that runs is 4321: ", descriptors())
        self.stop_agent(agent)
        self.assertIn(f"(RLIMIT_NOFILE) is {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}: ", descriptors())

    def test_says_what_is_missing(self):
        """Without a capability that a take-over needs: what that is, and exit code 1."""
        done = subprocess.run(["setpriv", "--bounding-set", "-sys_ptrace", str(BINARY), "doctor", "--json"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        failed = [c for c in json.loads(done.stdout)["checks"] if c["state"] == "failed"]
        self.assertIn("ptrace", [c["name"] for c in failed])
        self.assertTrue(all(c["remedy"] for c in failed), failed)

    def test_says_that_webhooks_cannot_be_told(self):
        """Without libcurl the agent does all else; only an agent that is to tell somebody does not start."""
        hidden = ["unshare", "--mount", "sh", "-c",
                  'for file in /lib*/*/libcurl.so.4 /lib*/libcurl.so.4; do [ ! -e "$file" ] || mount --bind /dev/null "$file"; done; exec "$@"',
                  "sh"]
        done = subprocess.run([*hidden, str(BINARY), "doctor", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        check, = [c for c in json.loads(done.stdout)["checks"] if c["name"] == "webhooks"]
        self.assertEqual(check["state"], "degraded")
        self.assertIn("libcurl.so.4", check["detail"])
        self.assertIn("install", check["remedy"])
        for approvals, code in (({}, 0), ({"webhook": {"url": "https://example.invalid/"}}, 78)):
            with tempfile.TemporaryDirectory() as place, self.case(approvals=approvals):
                config = Path(place)
                (config / "policies.d").mkdir()
                (config / "callgate.json").write_text(json.dumps({"state_directory": f"{place}/state", "approvals": approvals}))
                agent = subprocess.Popen([*hidden, str(BINARY), "run", "--config", place, "--scope-tree", str(os.getpid()),
                                          "--audit", f"{place}/audit", "--control", f"{place}/control"],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                ready = agent.stdout.readline()
                self.assertEqual("ready" in ready, code == 0, ready)
                if ready:
                    agent.terminate()
                _, said = agent.communicate(timeout=30)
                self.assertEqual(agent.returncode, code, said)
                told = subprocess.run([*hidden, str(BINARY), "doctor", "--json", "--config", place], stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, timeout=30)
                states = {c["name"]: c["state"] for c in json.loads(told.stdout)["checks"] if c["name"] in ("webhooks", "configuration")}
                self.assertEqual(set(states.values()), {"failed"} if code else {"degraded", "ok"}, told.stdout)
                self.assertEqual("libcurl.so.4" in said, code != 0, said)


if __name__ == "__main__":
    main()
