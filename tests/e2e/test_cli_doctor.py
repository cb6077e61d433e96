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
        self.assertEqual(states(), {"configuration": "degraded"})
        self.assertIn("--config", checks()["configuration"]["remedy"])

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
                self.assertEqual("libcurl.so.4" in said, code != 0, said)


if __name__ == "__main__":
    main()
