"""Which policy governs which server: by the package of native programs, by the unit of systemd, by the image of a container.

The files of container runtimes are written by the test: none of the runtimes runs here.
"""
import ctypes
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from governed import *  # noqa: F403
from governed import DENO, MCP_SERVER, NODE, NOTES_PY, PYTHON, SERVERS, EndToEnd, echoed, json, main, policy, wait_for

DENYING = "/tools/echo/deny_if"
CONTAINERS = Path("/var/lib/docker/containers")
CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
LIBC = ctypes.CDLL(None, use_errno=True)


def cgroup_mount():
    for line in Path("/proc/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return Path(line.split()[1])
    return None


class WhichServer(EndToEnd):
    def assert_governed(self, command, match, **options):
        """A policy with this `server` has the server; one with another does not."""
        agent = self.agent({"it": policy(match, denied="echo")})
        client = self.client(command, **options)
        client.initialize()
        self.assert_denied(client.call("echo", {"text": "x"}), rule=DENYING)
        session = self.assert_enforced(agent)
        client.shutdown()
        self.stop_agent(agent)
        return session

    def assert_all_governed(self, commands, package, version, **options):
        """However it was installed, and whatever starts it, it is this package."""
        agent = self.agent({"it": policy({"package": package}, denied="echo")})
        for way, command in commands.items():
            with self.subTest(way=way):
                client = self.client(command, **options)
                client.initialize()
                self.assert_denied(client.call("echo", {"text": "x"}), rule=DENYING)
                session = agent.sessions()[-1]
                self.assertEqual((session["server"]["package"], session["server"]["package_version"]), (package, version))
                client.shutdown()
        self.stop_agent(agent)

    def assert_left_alone(self, command, match, **options):
        agent = self.agent({"other": policy(match, denied="echo")})
        client = self.client(command, **options)
        client.initialize()
        self.assertEqual(echoed(client.call("echo", {"text": "x"})), "x")
        client.shutdown()
        self.assertEqual(agent.audit("session_start"), [])
        self.stop_agent(agent)


class TestPackages(WhichServer):
    def test_a_program_by_its_file(self):
        command = (MCP_SERVER, "--readv")
        session = self.assert_governed(command, {"package": "mcp_server"})
        self.assertEqual(session["server"]["package"], "mcp_server")
        self.assert_left_alone(command, {"package": "mcp"})

    def test_npm_installs(self):
        place = self.directory()
        shutil.copytree(SERVERS / "npm", place / "source")
        shutil.copy(SERVERS / "notes.mjs", place / "source")
        environment = {"HOME": str(place), "PATH": f"{Path(NODE).parent}:{os.environ['PATH']}", "npm_config_cache": str(place / "cache"),
                       "npm_config_update_notifier": "false", "npm_config_audit": "false", "npm_config_fund": "false"}

        def npm(*words):
            subprocess.run([shutil.which("npm"), "--offline", *words], cwd=place, env=environment, check=True, capture_output=True, timeout=120)
        npm("pack", "./source")
        package = str(place / "acme-notes-npm-1.2.3.tgz")
        npm("install", "-g", "--prefix", str(place / "global"), package)
        npm("install", "--prefix", str(place / "project"), package)
        self.assert_all_governed({"npx": (shutil.which("npx"), "--offline", "--yes", "--package", package, "--", "notes-npm"),
                                  "globally": (str(place / "global" / "bin" / "notes-npm"),),
                                  "in a project": (str(place / "project" / "node_modules" / ".bin" / "notes-npm"),),
                                  "by its script": (NODE, str(place / "project" / "node_modules" / "@acme" / "notes-npm" / "server.mjs"))},
                                 "@acme/notes-npm", "1.2.3", env=environment)
        self.assertEqual(len(list((place / "cache" / "_npx").iterdir())), 1)

    def test_python_installs(self):
        place = self.directory()
        environments = {way: place / directory for way, directory in
                        {"venv": "venv", "pipx": ".local/share/pipx/venvs/notes-wheel", "uvx": ".cache/uv/archive-v0/x9"}.items()}
        for way, at in environments.items():
            subprocess.run([PYTHON, "-m", "venv", "--without-pip", at], check=True, timeout=120)
            self.install_wheel(at, has_entry_points=way != "uvx")
        link = place / ".local" / "bin" / "notes-wheel"
        link.parent.mkdir(parents=True)
        link.symlink_to(environments["pipx"] / "bin" / "notes-wheel")
        commands = {f"script of {way}": (str(at / "bin" / "notes-wheel"),) for way, at in environments.items()}
        self.assert_all_governed({**commands, "pipx's link": (str(link),),
                                  "module": (str(environments["venv"] / "bin" / "python"), "-m", "notes_wheel")}, "notes-wheel", "3.1")

    @staticmethod
    def install_wheel(environment, *, has_entry_points):
        """As an installer does it; none is needed here."""
        site = next(environment.glob("lib/python3*/site-packages"))
        (site / "notes_wheel").mkdir()
        (site / "notes_wheel" / "__init__.py").touch()
        shutil.copy(SERVERS / "python" / "server.py", site / "notes_wheel" / "__main__.py")
        information = site / "notes_wheel-3.1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: notes-wheel\nVersion: 3.1\n")
        (information / "RECORD").write_text("notes_wheel/__init__.py,,\nnotes_wheel/__main__.py,,\n../../../bin/notes-wheel,,\n")
        if has_entry_points:
            (information / "entry_points.txt").write_text("[console_scripts]\nnotes-wheel = notes_wheel.__main__:main\n")
        script = environment / "bin" / "notes-wheel"
        script.write_text(f"#!{environment}/bin/python\nimport sys\nfrom notes_wheel.__main__ import main\nsys.exit(main())\n")
        script.chmod(0o755)

    def test_a_go_program_by_its_module(self):
        place = self.directory()
        environment = {**os.environ, "GOCACHE": str(place / "cache"), "GOPATH": str(place / "path"), "GOFLAGS": "-mod=mod -buildvcs=false",
                       "GOPROXY": "off", "CGO_ENABLED": "0"}
        for name, flags in (("notes", ()), ("stripped", ("-ldflags=-s -w", "-trimpath"))):
            program = place / name
            subprocess.run(["go", "build", *flags, "-o", str(program), "."], cwd=SERVERS / "go", env=environment, check=True, timeout=300)
            with self.case(program=name):
                session = self.assert_governed((str(program),), {"package": "example.com/notes-go"})
                self.assertEqual(session["server"]["package"], "example.com/notes-go")
                self.assert_left_alone((str(program),), {"package": name})

    def test_deno_by_its_configuration(self):
        place = self.directory()
        shutil.copy(SERVERS / "notes.mjs", place)
        server = place / "server"
        server.mkdir()
        shutil.copy(SERVERS / "deno" / "server.mjs", server)
        (server / "deno.jsonc").write_text('{\n  // ours\n  "name": "@acme/notes", "version": "0.2.0", "exports": "./server.mjs"\n}')
        command = ("env", "DENO_NO_UPDATE_CHECK=1", DENO, "run", "--allow-all", "--no-lock", str(server / "server.mjs"))
        session = self.assert_governed(command, {"package": "@acme/notes"})
        self.assertEqual(session["server"]["package_version"], "0.2.0")


class TestCgroups(WhichServer):
    def group(self, *names):
        """A cgroup of this path, and what puts a process there."""
        mount = cgroup_mount()
        if mount is None or not os.access(mount, os.W_OK):
            self.fail("needs a cgroup v2 hierarchy that can be written")
        path, made = mount, []
        for name in names:
            path = path / name
            if not path.exists():
                path.mkdir()
                made.append(path)

        def remove():
            wait_for(lambda: not (path / "cgroup.procs").read_text(), "the test's cgroup being empty")
            for each in reversed(made):
                each.rmdir()
        self.addCleanup(remove)
        return lambda: (path / "cgroup.procs").write_text(str(os.getpid()))

    def test_units(self):
        enter = self.group("callgate-test.slice", "notes@1.service")
        for match in ({"unit": "notes@1.service"}, {"unit": "glob:notes@*.service"}):
            with self.case(match=match):
                self.assert_governed(NOTES_PY.command, match, preexec=enter)
        for match in ({"unit": "notes.service"}, {"unit": "callgate-test.slice"}):
            with self.case(match=match):
                self.assert_left_alone(NOTES_PY.command, match, preexec=enter)

    def test_units_of_a_user(self):
        enter = self.group("callgate-test.slice", "user@4242.service", "app.slice", "notes.service")
        self.assert_governed(NOTES_PY.command, {"unit": "user@4242.service/notes.service"}, preexec=enter)
        self.assert_left_alone(NOTES_PY.command, {"unit": "notes.service"}, preexec=enter)

    def test_images(self):
        if CONTAINERS.parent.exists():
            self.fail("Docker lives here; its files are not ours to write")
        identifier = secrets.token_hex(32)
        state = CONTAINERS / identifier
        state.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, CONTAINERS.parent)
        (state / "config.v2.json").write_text(json.dumps({"ID": identifier, "Name": "/notes", "Config": {"Image": "acme/notes-mcp:1.4"}}))
        enter = self.group("callgate-test.slice", f"docker-{identifier}.scope")
        for image in ("acme/notes-mcp", "registry.example/acme/notes-mcp:1.4", "glob:acme/*"):
            with self.case(image=image):
                self.assert_governed(NOTES_PY.command, {"image": image}, preexec=enter)
        agent = self.agent({"it": policy({"image": "acme/notes-mcp"}, denied="echo"), "any": policy(NOTES_PY.match)})
        client = self.client(NOTES_PY.command, preexec=enter)
        client.initialize()
        self.assertEqual(echoed(client.call("echo", {"text": "x"})), "x")  # `package` weighs more than `image`
        self.assertEqual(agent.wait_audit("session_start")[0]["policy"], "any")
        client.shutdown()
        self.stop_agent(agent)
        for image in ("acme/notes-mcp:1.5", "notes-mcp", "glob:other/*"):
            with self.case(image=image):
                self.assert_left_alone(NOTES_PY.command, {"image": image}, preexec=enter)

    def test_a_grant_of_a_unit_and_of_a_container(self):
        identifier = secrets.token_hex(32)
        grants = {"version": "1", "grants": {"unit": {"match": {"unit": "caller.service"}}, "box": {"match": {"container": identifier[:12]}}}}
        tools = {"echo": {"require": [{"conditions": [{"path": "grant.name", "op": "exists", "value": True}]}]}}
        agent = self.agent({"notes": policy(NOTES_PY.match, default="deny", tools=tools)}, grants=grants)
        script = Path(__file__).with_name("call_once.py")
        for names, grant in ((("caller.service",), "unit"), ((f"docker-{identifier}.scope",), "box"),
                             (("user@1.service", f"docker-{identifier}.scope"), None)):
            enter = self.group("callgate-test.slice", *names)
            done = subprocess.run([sys.executable, str(script), json.dumps([str(word) for word in NOTES_PY.command])],
                                  capture_output=True, preexec_fn=enter, timeout=60, check=True)
            with self.subTest(names=names):
                self.assertEqual(json.loads(done.stdout)["result"].get("isError", False), grant is None)
        self.assertEqual([r["grant"] for r in agent.wait_audit("message", count=3, method="tools/call", direction="c2s")][:2], ["unit", "box"])


def mount(source, target, kind=None, flags=0, options=None):
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if LIBC.mount(*words, ctypes.c_ulong(flags), options):
        raise OSError(ctypes.get_errno(), "mount", str(target))


class TestUsersOfTheHost(WhichServer):
    """The agent has the root directory of an image, as in a pod with the host's process ids. There other users have the names that
    users have on the host; some that the host has are not there."""
    GRANTS = {"version": "1", "grants": {"it": {"match": {"user": "root", "group": "root"}}}, "default": "deny"}

    def setUp(self):
        super().setUp()
        self.root, self.etc, self.first = self.directory(), self.directory(), self.directory()
        (self.first / "root").symlink_to("/host")
        (self.etc / "passwd").write_text("nobody:x:0:0::/:/bin/sh\nroot:x:65534:65534::/:/bin/sh\n")
        (self.etc / "group").write_text("nogroup:x:0:\nroot:x:65534:\n")

    def enter_image(self):
        """In a child, before it becomes the agent."""
        if LIBC.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("none", self.root, "tmpfs", options=b"mode=755")
        for entry in Path("/").iterdir():
            if entry.is_symlink():
                (self.root / entry.name).symlink_to(os.readlink(entry))
            elif entry.is_dir():
                (self.root / entry.name).mkdir()
                mount(entry, self.root / entry.name, flags=MS_BIND | MS_REC)
        for file in self.etc.iterdir():
            mount(file, self.root / "etc" / file.name, flags=MS_BIND)
        if not os.access("/proc/1/root", os.F_OK):  # in a sandbox: this root directory in its stead
            (self.root / "host").mkdir()
            mount("/", self.root / "host", flags=MS_BIND)
            mount(self.first, self.root / "proc/1", flags=MS_BIND)
        os.chroot(self.root)

    def agent(self, policies, **options):
        return super().agent(policies, preexec=self.enter_image, **options)

    def test_servers(self):
        self.assert_governed(NOTES_PY.command, {"user": "root"})
        self.assertEqual(self._agents[-1].audit("session_start")[0]["server"]["user"], "root")
        self.assert_left_alone(NOTES_PY.command, {"user": "nobody"})

    def test_callers(self):
        agent = self.agent({"notes": policy(NOTES_PY.match)}, grants=self.GRANTS)
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assertEqual(echoed(client.call("echo", {"text": "x"})), "x")
        self.assertEqual(agent.wait_audit("message", method="tools/call", direction="c2s")[0]["grant"], "it")
        client.shutdown()
        self.stop_agent(agent)

    def test_scope(self):
        agent = self.agent({"it": policy(NOTES_PY.match, denied="echo")}, config={"scope": {"users": ["root", "daemon"]}})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call("echo", {"text": "x"}), rule=DENYING)
        client.shutdown()
        self.stop_agent(agent)


if __name__ == "__main__":
    main()
