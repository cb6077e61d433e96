"""The verbs that talk to a running agent or to files, and their exit codes. Those of doctor are in test_cli_doctor.py."""
import socket
import threading
import time

from governed import *  # noqa: F403
from governed import BINARY, NOTES_PY, ROOT, EndToEnd, JsonLines, callgate, json, main, os, policy, policy_for, signal, subprocess, wait_for


class TestFiles(EndToEnd):
    def write(self, document):
        path = self.directory() / "policy.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
        return path

    def test_check_accepts_what_ships(self):
        files = sorted((ROOT / "policies").rglob("*.json"))
        self.assertTrue(files)
        shipped = [f for f in files if "version" in json.loads(f.read_text()) and "schema" not in f.name]
        place = self.directory()
        for number, file in enumerate(shipped):
            shipped[number] = place / file.name
            shipped[number].write_bytes(file.read_bytes())  # in a clone others may be able to write them
        done = callgate("check", *shipped)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_check_names_the_place_and_the_nearest_key(self):
        document = policy({"package": "x"})
        document["tols"] = document.pop("tools")
        path = self.write(document)
        done = callgate("check", path)
        self.assertEqual(done.returncode, 1)
        line = 1 + path.read_text().split('"tols"')[0].count("\n")
        self.assertIn(f'{path}:{line}:3: /tols: unknown key "tols"; did you mean "tools"?', done.stdout.splitlines())

    def test_check_of_one_bad_file_among_good_ones(self):
        done = callgate("check", self.write(policy({"package": "x"})), self.write("{ not json"))
        self.assertEqual(done.returncode, 1)

    def test_check_says_what_run_would_say_of_the_file(self):
        """And what is wrong inside, where it can be read; a remedy each time."""
        place, good = self.directory(), json.dumps(policy({"package": "x"}))
        for name, text, mode in (("group.json", good, 0o664), ("world.json", good.replace("tools", "tols"), 0o646)):
            (place / name).write_text(text)
            (place / name).chmod(mode)
        (place / "link.json").symlink_to("group.json")
        os.mkfifo(place / "fifo.json")
        (place / "large.json").write_bytes(b" " * ((16 << 20) + 1))
        (place / "directory.json").mkdir()
        for name, said in (("group.json", ("chmod go-w",)), ("world.json", ("chmod go-w", "tols")), ("link.json", ("symbolic link",)),
                           ("fifo.json", ("not a regular file",)), ("large.json", ("larger than 16 MiB", "split it")),
                           ("directory.json", ("is a directory", "*.json")), ("none.json", ("No such file",))):
            with self.subTest(name):
                done = callgate("check", place / name)
                self.assertEqual(done.returncode, 1)
                for words in said:
                    self.assertIn(words, done.stdout)
                self.assertIn(str(place / name), done.stdout)
                self.assertNotIn("ok (", done.stdout)

    def test_the_yaml_of_the_reference(self):
        """The example in policies/README.md is a policy, and decides what it says there, before and after a conversion."""
        text = (ROOT / "policies/README.md").read_text().split("```yaml\n")[1].split("```")[0]
        place = self.directory()
        (place / "pay.yaml").write_text(text)
        done = callgate("check", place / "pay.yaml")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"{place}/pay.yaml: ok (default deny, 4 tools, 1 hidden)\n")
        self.assertEqual(callgate("convert", place / "pay.yaml", "--output", place / "native.json").returncode, 0)
        self.assertEqual(oct((place / "native.json").stat().st_mode & 0o777), "0o644")
        self.assertEqual(sorted(f.name for f in place.iterdir()), ["native.json", "pay.yaml"])
        done = callgate("convert", place / "native.json")
        self.assertEqual((done.returncode, done.stdout), (0, (place / "native.json").read_text()))
        charge = "/tools/create_charge/"
        cases = [{"tool": "list_issues", "times": 60, "expect": "allow"},
                 {"tool": "list_issues", "times": 61, "expect": "limit", "rule": "/all_tools/limits/_rate_minute"},
                 {"tool": "create_issue", "times": 6, "expect": "limit", "rule": "/tools/create_issue/limits/_rate_hour"},
                 {"tool": "create_charge", "args": {"amount": 5, "currency": "usd"}, "expect": "allow"},
                 {"tool": "create_charge", "args": {"amount": 5}, "expect": "deny", "rule": charge + "require/args.currency-in"},
                 {"tool": "create_charge", "args": {"amount": 10001, "currency": "eur"}, "expect": "approval",
                  "rule": charge + "require_approval/args.amount-gt"},
                 {"tool": "delete_repository", "expect": "deny", "rule": "/tools/delete_repository/deny_if"},
                 {"tool": "transfer_repository", "expect": "deny", "rule": "(hidden)"},
                 {"tool": "other", "expect": "deny", "rule": "(default deny)"}]
        for name in ("pay", "native"):
            (place / f"{name}.test.json").write_text(json.dumps({"cases": cases}))
        for file in ("pay.yaml", "native.json", "pay.test.json"):
            done = callgate("test", place / file)
            self.assertEqual((done.returncode, done.stdout.split(": ")[-1]), (0, "ok (9 cases)\n"), done.stdout)

    def test_convert_of_a_bad_policy_writes_nothing(self):
        place = self.directory()
        (place / "bad.yaml").write_text('version: "1"\ntools:\n  x:\n    rules:\n      - {nam: a, action: deny}\n')
        done = callgate("convert", place / "bad.yaml", "--output", place / "out.json")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn('bad.yaml:5:10: /tools/x/rules/0/nam: unknown key "nam"; did you mean "name"?', done.stderr)
        self.assertEqual(done.stderr.count("\n"), 2)
        self.assertFalse((place / "out.json").exists())
        self.assertEqual(callgate("convert", place / "none.yaml").returncode, 1)
        (place / "bad.yaml").write_text('version: "1"\ntools: {x: {rules: []}}\n')
        done = callgate("convert", place / "bad.yaml", "--output", place / "nowhere" / "out.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere/out.json", done.stderr)

    def test_convert_keeps_what_ships(self):
        place = self.directory()
        for file in sorted((ROOT / "policies").glob("*.test.json")):
            name = file.name.removesuffix(".test.json")
            (place / f"{name}.source.json").write_bytes((file.parent / f"{name}.json").read_bytes())
            self.assertEqual(callgate("convert", place / f"{name}.source.json", "--output", place / f"{name}.json").returncode, 0)
            (place / file.name).write_bytes(file.read_bytes())
            self.assertEqual(callgate("test", place / file.name).returncode, 0)

    def test_version_and_help(self):
        done = callgate("version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")
        done = callgate("--help")
        self.assertEqual(done.returncode, 0)
        for verb in ("run", "keep", "guard", "restart", "check", "convert", "explain", "test", "replay", "draft", "status", "sessions", "tail", "doctor", "support-bundle", "version"):
            self.assertIn(verb, done.stdout)
            self.assertEqual(callgate(verb, "--help").returncode, 0)

    def test_wrong_usage(self):
        for words in (["no-such-verb"], ["status", "--no-such-option"], ["check"]):
            self.assertEqual(callgate(*words).returncode, 2, words)

    def test_no_agent(self):
        path = self.directory() / "nobody-here.sock"
        for verb in ("status", "sessions"):
            done = callgate(verb, "--json", "--control", path)
            self.assertEqual(done.returncode, 69, done.stderr)
            self.assertIn(str(path), done.stderr)


class TestRun(EndToEnd):
    def test_a_bad_configuration(self):
        directory = self.directory()
        (directory / "policies.d").mkdir()
        state = {"state_directory": str(directory / "state")}
        (directory / "callgate.json").write_text(json.dumps({**state, "no_such_key": 1}))
        done = callgate("run", "--config", directory, "--scope-tree", os.getpid(), "--audit", directory / "audit",
                        "--control", directory / "control")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("no_such_key", done.stderr)
        (directory / "callgate.json").write_text(json.dumps(state))
        options = {"--config": directory, "--scope-tree": os.getpid(), "--audit": directory / "audit", "--control": directory / "control"}
        for option, value, told in (("--audit", directory, "is a directory; name a file"), ("--scope-cgroup", "/nonexistent", "cgroup")):
            with self.case(option=option):
                done = callgate("run", *(word for pair in {**options, option: value}.items() for word in pair))
                self.assertEqual(done.returncode, 78, done.stderr)
                self.assertIn(told, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_one_bad_policy_does_not_disable_the_others(self):
        agent = self.agent({"good": policy_for(NOTES_PY), "bad": {"version": "1", "default": "deny", "nonsense": 1}})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        client.shutdown()
        self.assertIn("bad.json", json.dumps(agent.status()))

    def test_a_second_agent_on_the_same_socket(self):
        agent = self.agent({})
        done = callgate("run", "--config", agent.config_directory, "--scope-tree", os.getpid(), "--audit",
                        agent.directory / "other", "--control", agent.control_path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(agent.control_path), done.stderr)
        agent.status()

    def readiness(self, answers):
        """What an agent tells the service manager until it is ready, and when it stops. `answers`: it closes what it is given, which
        answers the question whether it has read."""
        path = self.directory() / "notify"
        said = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(20)

            def listen_until(last):
                while not said or said[-1] != last:
                    text, descriptors, _, _ = socket.recv_fds(manager, 4096, 8)
                    said.append(text.decode().partition("FDNAME=")[2] or text.decode())
                    for descriptor in descriptors:
                        os.close(descriptor)
            listener = threading.Thread(target=listen_until, args=("READY=1",))
            if answers:
                listener.start()
            os.environ["NOTIFY_SOCKET"] = str(path)
            try:
                agent = self.agent({})
            finally:
                del os.environ["NOTIFY_SOCKET"]
            listener.join() if answers else listen_until("READY=1")
            self.stop_agent(agent)
            listen_until("STOPPING=1")
            return said, agent

    def test_readiness_is_told_to_the_service_manager(self):
        """Type=notify of systemd: a datagram to $NOTIFY_SOCKET. Before it, what is to be kept, and whether that was read."""
        said, _ = self.readiness(answers=True)
        self.assertEqual(said[:6], ["callgate-memory", "BARRIER=1", "callgate-vault", "callgate-vault-in", "BARRIER=1", "READY=1"])

    def test_a_service_manager_that_keeps_nothing(self):
        said, agent = self.readiness(answers=False)
        self.assertEqual(said, ["callgate-memory", "BARRIER=1", "READY=1", "STOPPING=1"])
        self.assertIn("keeps no descriptors", agent.log())

    def test_rotation(self):
        """After SIGHUP, or "reload", records go into a new file of the old name; none is lost and none is in both."""
        for reload in (lambda agent: os.kill(agent.pid, signal.SIGHUP), lambda agent: agent.command("reload")):
            self.rotate(self.agent({"notes": policy_for(NOTES_PY)}), reload)

    def rotate(self, agent, reload):
        client = self.client(NOTES_PY.command)
        client.initialize()
        agent.wait_audit("message", direction="s2c", kind="response")
        rotated = agent.audit_path.rename(agent.directory / "audit.jsonl.1")
        reload(agent)
        wait_for(agent.audit_path.exists, "the new file")
        self.assert_denied(client.call("delete_note"))
        client.shutdown()
        agent.wait_audit("session_end")
        records = [json.loads(line) for line in rotated.read_text().splitlines()] + agent.audit()
        self.assertEqual(len({r["id"] for r in records}), len(records))
        methods = [r["method"] for r in records if r["type"] == "message" and r["direction"] == "c2s"]
        self.assertEqual(methods, ["initialize", "notifications/initialized", "tools/call"])
        self.assertEqual(agent.audit_path.stat().st_mode & 0o777, 0o600)
        self.stop_agent(agent)


class TestLive(EndToEnd):
    def governed(self):
        agent = self.agent({"notes": policy_for(NOTES_PY)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        self.assert_result(client.call("echo", {"text": "a secret value"}))
        agent.wait_audit("message", count=2, direction="s2c")
        return agent, client

    def test_status_and_sessions(self):
        agent, client = self.governed()
        status = agent.status()
        self.assertEqual(status["frames"]["in"], 4)
        self.assertEqual(status["frames"]["denied"], 1)
        session = self.assert_enforced(agent, client.pid)
        self.assertIn("notes-py", json.dumps(session))
        for verb in ("status", "sessions"):
            self.assertTrue(agent.command(verb).stdout.strip(), verb)
        client.shutdown()

    def test_policies_that_others_can_write_govern_nobody(self):
        """Nor is there an agent where others could put policies: it says why, and that it is the configuration's fault."""
        agent = self.agent({"p": policy_for(NOTES_PY)})
        directory = agent.config_directory / "policies.d"
        directory.chmod(0o777)
        refused = agent.command("reload", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("can be written by others", refused.stdout + refused.stderr)
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assertEqual(client.shutdown(), 7)
        done = subprocess.run([str(BINARY), "run", "--config", str(agent.config_directory), "--scope-tree", str(os.getpid()), "--control",
                               str(agent.directory / "other.sock")], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("policies.d: can be written by others", done.stderr)

    def test_check_says_of_policies_d_what_the_agent_would(self):
        place = self.directory() / "policies.d"
        place.mkdir()
        path = place / "p.json"
        path.write_text(json.dumps(policy_for(NOTES_PY)))
        self.assertEqual(callgate("check", path).returncode, 0)
        os.chown(path, 1234, 0)
        done = callgate("check", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("p.json: belongs to user 1234", done.stdout)
        os.chown(path, 0, 0)
        place.chmod(0o777)
        done = callgate("check", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("policies.d: can be written by others", done.stdout)
        other = place.parent / "beginning.json"  # elsewhere it is nobody's policy yet
        other.write_text(path.read_text())
        os.chown(other, 1234, 0)
        self.assertEqual(callgate("check", other).returncode, 0)

    def test_support_bundle(self):
        """Enough to see what is going on, and nobody's data: no command line, path, argument, tool or text of a policy."""
        agent = self.agent({"the-policy": policy_for(NOTES_PY, description="a hidden remark"), "broken": {"a hidden key": 1}})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assert_result(client.call("echo", {"text": "a hidden word"}))
        agent.wait_audit("message", method="tools/call", direction="s2c")
        moved, size = self.directory() / "a hidden place", agent.audit_path.stat().st_size
        with open(agent.audit_path, "a") as audit:  # as after a disk was full
            audit.write(json.dumps({"type": "gap", "id": "0", "lost": 3, "cause": f"write {moved}/audit.jsonl: ENOSPC"}) + "\n")
            audit.write(json.dumps({"type": "approval", "id": "1", "by": {"uid": 61234, "login_uid": 61235, "user": "a hidden user"}}) + "\n")
        of_a_user = agent.directory / "state" / "of-a-user"
        of_a_user.touch()
        os.chown(of_a_user, 61234, 0)
        output = self.directory() / "bundle.json"
        done = agent.command("support-bundle", "--config", str(agent.config_directory), "--output", str(output))
        os.truncate(agent.audit_path, size)
        self.assertIn(str(output), done.stdout)
        self.assertEqual(output.stat().st_mode & 0o777, 0o600)
        text = output.read_text()
        for hidden in ("server.py", str(agent.directory), str(agent.config_directory), str(agent.audit_path), str(moved), os.path.expanduser("~") + "/", "a hidden", NOTES_PY.denied[0], "Requires human approval", "61234", "61235"):
            self.assertNotIn(hidden, text)
        bundle = json.loads(text)
        self.assertEqual(bundle["agent"]["status"]["pid"], agent.pid)
        self.assertEqual(bundle["agent"]["sessions"][0]["state"], "enforced")
        self.assertGreater(bundle["agent"]["process"]["descriptors"], 10)
        self.assertEqual(bundle["policies"]["in_force"][0]["name"], "the-policy")
        self.assertEqual(bundle["audit"]["counts"]["message deny"], 1)
        self.assertEqual({each["name"] for each in bundle["policies"]["problems"]}, {"broken.json"})
        events = {event["type"]: event for event in bundle["audit"]["events"]}
        self.assertIn("session_start", events)
        self.assertEqual(events["gap"]["cause"], "write (path): ENOSPC")
        self.assertEqual(events["approval"]["by"], {"login_uid": "user 1", "uid": "user 2", "user": "(13 bytes)"})
        self.assertEqual({each["uid"] for each in bundle["state_files"]}, {"root", "user 2"})
        self.assertEqual(bundle["agent"]["sessions"][0]["server"]["uid"], "root")
        self.assertTrue(bundle["doctor"]["checks"])
        self.assertEqual(agent.command("support-bundle", "--output", str(output), check=False).returncode, 1)
        self.assertEqual(output.read_text(), text)
        client.shutdown()
        self.stop_agent(agent)
        other = self.directory() / "stopped.json"
        agent.command("support-bundle", "--config", str(agent.config_directory), "--output", str(other))
        self.assertEqual(json.loads(other.read_text())["agent"]["status"], {"stopped": "no agent answers"})

    def test_help_of_verbs_below_verbs_is_whole(self):
        for words in (("approvals", "list"), ("approvals", "show"), ("approvals", "revoke"), ("pins", "list"), ("pins", "show")):
            text = callgate(*words, "--help").stdout
            self.assertIn("--control", text, words)
            self.assertIn("--json", text, words)
        for words in (("pins", "accept"), ("counters", "reset")):
            self.assertIn("--control", callgate(*words, "--help").stdout, words)

    def test_a_policy_that_only_looks_on_is_not_called_enforced(self):
        agent = self.agent({"p": policy(NOTES_PY.match, mode="shadow")})
        client = self.client(NOTES_PY.command)
        client.initialize()
        shown = agent.command("sessions").stdout
        self.assertIn(" shadow ", shown)
        self.assertNotIn("enforced", shown)
        self.assertIn("shadow", agent.command("status").stdout)
        client.shutdown()

    def test_a_tie_is_a_problem(self):
        match = {"package": "notes-py"}
        agent = self.agent({"a": policy({"user": "root", **match}), "b": policy({"user": "0", **match})})
        self.assertEqual(agent.status()["problems"], [])
        client = self.client(NOTES_PY.command)
        client.initialize()
        (problem,) = agent.status()["problems"]
        self.assertIn("policy tie: a, b name the server notes-py equally well", problem)
        self.assertIn("PROBLEM", agent.command("status").stdout)
        client.shutdown()
        agent.wait_audit("session_end")
        self.assertEqual(agent.status()["problems"], [])

    def test_files_that_name_the_same_server_are_a_problem(self):
        agent = self.agent({"a": policy({"package": "x"}), "b": policy({"package": "x"})})
        (problem,) = agent.status()["problems"]
        self.assertRegex(problem, r"b\.json: /server: names the same servers as a\.json, a tie")

    def test_check_of_what_is_no_policy_of_a_server(self):
        place = self.directory() / "policies.d"
        place.mkdir()
        text = json.dumps({"version": "1", "default": "deny"})
        for path, code, said in ((place / "p.json", 1, '/server: names no server'), (place.parent / "p.json", 0, "warning: /server: names no server")):
            path.write_text(text)
            path.chmod(0o644)
            done = callgate("check", path)
            self.assertEqual((done.returncode, "ok (" in done.stdout), (code, code == 0), done.stdout)
            self.assertIn(said, done.stdout)
            self.assertIn('"server": {"package": "NAME"}', done.stdout)
        config = place.parent / "callgate.json"
        config.write_text('{"stop_timeout_s": 5}')
        config.chmod(0o644)
        done = callgate("check", config)
        self.assertEqual(done.returncode, 0)
        self.assertIn("ok (configuration of the agent", done.stdout)
        config.write_text('{\n "stop_timeout": 5}')
        done = callgate("check", config)
        self.assertEqual(done.returncode, 1)
        self.assertIn("callgate.json:2:2: ", done.stdout)
        self.assertIn("stop_timeout_s", done.stdout)

    def test_state_that_others_can_write_is_refused(self):
        for mode, what in ((0o777, "state: can be written"), (0o770, "state: can be written")):
            state = self.directory() / "state"
            state.mkdir()
            state.chmod(mode)
            with self.assertRaises(AssertionError):
                self.agent({}, config={"state_directory": str(state)})
            self.assertIn(what, self._agents[-1].log())
            self.assertEqual(self._agents[-1].process.wait(), 78)

    def test_tail(self):
        agent, client = self.governed()
        client.shutdown()
        agent.wait_audit("session_end")
        feed = callgate("tail", "--no-follow", "-n", 1000, "--json", "--audit", agent.audit_path)
        self.assertEqual(feed.returncode, 0, feed.stderr)
        self.assertEqual([json.loads(line) for line in feed.stdout.splitlines()], agent.audit())
        readable = callgate("tail", "--no-follow", "-n", 1000, "--audit", agent.audit_path).stdout
        self.assertIn("delete_note", readable)
        self.assertIn("deny", readable)

    def test_tail_follows(self):
        """What comes after it was started, readable or as it is, and on into the next file when one is rotated away."""
        agent, client = self.governed()
        agent.wait_audit("message", count=3, direction="c2s")
        feeds = []
        for form in (["--json"], []):
            # The running agent is asked where its audit file is.
            words = [str(BINARY), "tail", "-n", "1", *form, "--control", str(agent.control_path)]
            feed = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.addCleanup(feed.communicate)
            self.addCleanup(feed.kill)
            feeds.append(feed)
        as_it_is, readable = JsonLines(feeds[0].stdout), feeds[1].stdout
        self.assertEqual(as_it_is.next(), agent.audit()[-1])
        self.assertTrue(readable.readline())
        self.assert_result(client.call("echo", {"text": "x"}))
        agent.wait_audit("message", count=3, direction="s2c", kind="response")
        agent.audit_path.rename(agent.directory / "audit.jsonl.1")
        os.kill(agent.pid, signal.SIGHUP)
        wait_for(agent.audit_path.exists, "the new file")
        self.assert_denied(client.call("delete_note"))
        records = [as_it_is.next() for _ in range(3)]
        self.assertEqual([(r["direction"], r["tool"], r["decision"]) for r in records],
                         [("c2s", "echo", "allow"), ("s2c", "echo", "pass"), ("c2s", "delete_note", "deny")])
        lines = [readable.readline().decode() for _ in range(3)]
        for line, words in zip(lines, (("echo", "allow"), ("echo",), ("delete_note", "deny", "Requires human approval."))):
            for word in words:
                self.assertIn(word, line)
        client.shutdown()

    def test_audit_file_is_private_and_holds_no_values(self):
        agent, client = self.governed()
        client.shutdown()
        self.assertEqual(agent.audit_path.stat().st_mode & 0o777, 0o600)
        self.assertNotIn("a secret value", agent.audit_path.read_text())
        record = agent.wait_audit("message", direction="c2s", tool="echo")[0]
        self.assertIn("text", json.dumps(record))

    def test_only_root_and_the_agents_user_may_ask(self):
        """The socket's mode keeps others out; were it changed, the peer's credentials still do."""
        agent = self.agent({})
        self.assertEqual(agent.control_path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.ask_as_nobody(agent), "EACCES")
        agent.control_path.chmod(0o666)
        answer = self.ask_as_nobody(agent)
        self.assertNotIn('"ok":true', answer.replace(" ", ""))
        self.assertNotIn("frames", answer)
        agent.status()

    def ask_as_nobody(self, agent):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                    asking.settimeout(10)
                    asking.connect(str(agent.control_path))
                    asking.sendall(b'{"verb":"status"}\n')
                    os.write(writer, asking.recv(65536) or b"cut off")
            except PermissionError:
                os.write(writer, b"EACCES")
            except (BrokenPipeError, ConnectionResetError):
                os.write(writer, b"cut off")
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as answer:
            said = answer.read().decode()
        os.waitpid(child, 0)
        return said


if __name__ == "__main__":
    main()
