"""The packages: what is in them, and that each file means something to its reader."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml
from ansible_host import Host

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("CALLGATE_BUILD_DIR", ROOT / "build")).resolve()
DIRECTORIES_OF_OURS = ("/etc/callgate/", "/etc/callgate/policies.d/", "/usr/share/callgate/", "/usr/share/doc/callgate/")


def run(*command, code=0, both=False, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout + (done.stderr if both else "")


def setUpModule():
    place = Packages.place = Path(tempfile.mkdtemp(prefix="callgate-package-"))
    unittest.addModuleCleanup(shutil.rmtree, place)
    run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", place)
    Packages.deb, = place.glob("*.deb")
    Packages.rpm, = place.glob("*.rpm")
    Packages.tree = place / "tree"
    run("dpkg-deb", "-x", Packages.deb, Packages.tree)


class Packages(unittest.TestCase):

    def callgate(self, *words):
        return run(self.tree / "usr/bin/callgate", *words)

    def verbs(self, *above):
        """Those below a verb, or all where none is named."""
        _, _, listed = self.callgate(*above, "--help").partition("Subcommands:\n")
        return re.findall(r"^  (\S+)", listed.split("\n\n")[0], re.M)

    def options(self, *verb):
        return set(re.findall(r"(?:^  |,)(--?[a-zA-Z][a-z-]*)", self.callgate(*verb, "--help"), re.M)) - {"-h"}


class TestContents(Packages):
    def test_owners_and_modes(self):
        for line in run("dpkg-deb", "-c", self.deb).splitlines():
            mode, owner, *_, path = line.split()
            expected = "-rwxr-xr-x" if path == "./usr/bin/callgate" else "drwxr-xr-x" if path.endswith("/") else "-rw-r--r--"
            self.assertEqual((mode, owner), (expected, "root/root"), path)

    def test_both_packages_hold_the_same(self):
        deb = {line.split()[-1][1:] for line in run("dpkg-deb", "-c", self.deb).splitlines()}
        rpm = set(run("rpm", "-qpl", "--nosignature", self.rpm).splitlines())
        # Each where the distribution's zsh looks for it.
        of_debian, of_fedora = "/usr/share/zsh/vendor-completions/_callgate", "/usr/share/zsh/site-functions/_callgate"
        self.assertIn(of_debian, deb)
        self.assertIn(of_fedora, rpm)
        self.assertEqual({path for path in deb if not path.endswith("/")} - {of_debian} | {of_fedora},
                         {path for path in rpm if path + "/" not in deb})
        self.assertLessEqual({path.rstrip("/") for path in DIRECTORIES_OF_OURS}, rpm)
        # Directories of the distribution belong to its own packages.
        self.assertFalse({"/etc", "/usr", "/usr/bin", "/usr/lib/systemd/system", "/etc/logrotate.d"} & rpm)

    def test_configuration_is_kept_when_it_was_changed(self):
        conffiles = set(run("dpkg-deb", "-I", self.deb, "conffiles").split())
        self.assertEqual(conffiles, set(run("rpm", "-qpc", "--nosignature", self.rpm).split()))
        self.assertEqual(conffiles, {"/" + str(path.relative_to(self.tree)) for path in (self.tree / "etc").rglob("*") if path.is_file()})

    def test_dependencies_are_those_of_the_program(self):
        depends = run("dpkg-deb", "-f", self.deb, "Depends")
        for library in ("libbpf1", "liburing2", "libsodium23", "libsystemd0", "libc6", "libcurl4"):
            self.assertRegex(depends, rf"\b{library}\b")
        required = run("rpm", "-qp", "--requires", "--nosignature", self.rpm)
        self.assertIn("libbpf.so.1", required)
        self.assertIn("libcurl.so.4", required)

    def test_libcurl_is_loaded_only_where_it_is_used(self):
        self.assertNotIn("libcurl", run("readelf", "-dW", self.tree / "usr/bin/callgate"))

    def test_nothing_of_the_builders_machine(self):
        program = (self.tree / "usr/bin/callgate").read_bytes()
        for path in (ROOT, BUILD):
            self.assertNotIn(os.fsencode(path), program)
        self.assertNotIn(".debug_info", run("readelf", "-SW", self.tree / "usr/bin/callgate"))

    def test_the_program_is_hardened(self):
        dynamic = run("readelf", "-dlW", self.tree / "usr/bin/callgate")
        self.assertIn("BIND_NOW", dynamic)
        self.assertIn("GNU_RELRO", dynamic)
        self.assertIn("PIE", dynamic)
        self.assertRegex(dynamic, r"GNU_STACK.* RW ")

    def test_twice_the_same_bits(self):
        """Of what is packed; that the compiler gives the same twice is its own affair."""
        again = self.place / "again"
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", again, env={**os.environ, "TZ": "Asia/Tokyo"})
        for package in (self.deb, self.rpm):
            self.assertEqual((again / package.name).read_bytes(), package.read_bytes(), package.name)

    def test_shipped_policies_load(self):
        files = [file for file in (self.tree / "usr/share/callgate/policies").rglob("*.json") if "schema" not in file.name]
        tests = {file for file in files if file.name.endswith(".test.json")}
        self.assertGreaterEqual(len(tests), 10)
        self.callgate("check", *(file for file in files if file not in tests))
        self.callgate("test", *tests)

    def test_maintainer_scripts(self):
        for name in ("postinst", "prerm", "postrm"):
            script = self.place / name
            script.write_text(run("dpkg-deb", "-I", self.deb, name))
            run("sh", "-n", script)
        scripts = run("rpm", "-qp", "--scripts", "--nosignature", self.rpm)
        phases = re.split(r"^\w+ scriptlet \(using /bin/sh\):\n", scripts, flags=re.M)[1:]
        self.assertEqual(len(phases), 3)
        for phase in phases:
            run("sh", "-n", "-c", phase)


class TestRpm(Packages):
    """rpm and its scriptlets in a root of their own, where systemctl only writes down what it is to do; what it is asked for is so
    where a file says so."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        for directory in ("bin", "usr/bin", "run/systemd/system"):
            (self.root / directory).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), self.root / "bin/sh")
        for name in ("systemctl", "systemd-tmpfiles"):
            program = self.root / "usr/bin" / name
            program.write_text(f'#!/bin/sh\ncase $1 in is-*) [ -e "/$1 $3" ]; exit ;; esac\necho "{name} $*" >>/calls\n')
            program.chmod(0o755)

    def call(self, *words):
        """What its scriptlets called."""
        calls = self.root / "calls"
        calls.write_text("")
        run("rpm", "--root", self.root, "--nodeps", *words)
        return calls.read_text().splitlines()

    def test_installed_upgraded_removed(self):
        tmpfiles, reload = "systemd-tmpfiles --create callgate.conf", "systemctl daemon-reload"
        self.assertEqual(self.call("-i", "--nosignature", self.rpm),
                         [tmpfiles, "systemctl --no-reload preset callgate.service", reload])
        run("rpm", "--root", self.root, "-V", "--nodeps", "callgate")  # owners, modes, contents
        configuration, policy = self.root / "etc/callgate/callgate.json", self.root / "etc/callgate/policies.d/own.json"
        kept = [policy, self.root / "var/lib/callgate/key", self.root / "var/log/callgate/audit.jsonl"]
        for file in (configuration, *kept):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("own")
        # An upgrade stops nothing: the new agent goes on with the sessions of the old one.
        self.assertEqual(self.call("-U", "--force", "--nosignature", self.rpm),
                         [tmpfiles, reload, reload, "systemctl try-restart callgate.service"])
        # One that had failed may be what the upgrade mends, and its guard ends servers until an agent starts.
        failed, enabled = "is-failed callgate.service", "is-enabled callgate.service"
        for so, asked in (({"is-active callgate-guard.service"}, "start"), ({failed, enabled}, "start"), ({failed}, "try-restart"),
                          ({enabled}, "try-restart")):
            with self.subTest(so):
                for name in so:
                    (self.root / name).touch()
                self.assertEqual(self.call("-U", "--force", "--nosignature", self.rpm)[-1], f"systemctl {asked} callgate.service")
                for name in so:
                    (self.root / name).unlink()
        self.assertEqual(configuration.read_text(), "own")
        self.assertEqual(self.call("-e", "callgate"),
                         ["systemctl --no-reload disable --now callgate.service callgate-guard.service", reload])
        self.assertEqual(configuration.with_name("callgate.json.rpmsave").read_text(), "own")
        self.assertEqual([file.read_text() for file in kept], ["own"] * len(kept))
        self.assertFalse((self.root / "usr/bin/callgate").exists())


class TestUnit(Packages):
    def test_the_unit_is_well_formed(self):
        # Of the host around it: the program that reloads it.
        shell = self.tree / "bin/sh"
        shell.parent.mkdir()
        self.addCleanup(shutil.rmtree, shell.parent)
        shutil.copy("/bin/sh", shell)
        command = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={self.tree}", "callgate.service")
        self.assertEqual(run(*command, both=True), "")
        unit = self.tree / "usr/lib/systemd/system/callgate.service"
        text = unit.read_text()
        self.addCleanup(unit.write_text, text)
        unit.write_text(text.replace("ProtectHome=", "ProtectHouse="))
        self.assertIn("ProtectHouse", run(*command, code=None, both=True))

    def test_what_the_unit_gives_is_what_tmpfiles_gives(self):
        unit = dict(line.split("=", 1) for line in (self.tree / "usr/lib/systemd/system/callgate.service").read_text().splitlines()
                    if "=" in line and not line.startswith("#"))
        lines = [line.split() for line in (self.tree / "usr/lib/tmpfiles.d/callgate.conf").read_text().splitlines()
                 if not line.startswith("#")]
        kinds = {"Runtime": "/run/", "State": "/var/lib/", "Logs": "/var/log/"}
        self.assertEqual({(place + unit[f"{kind}Directory"], unit[f"{kind}DirectoryMode"]) for kind, place in kinds.items()},
                         {(path, mode) for _, path, mode, *_ in lines})
        self.assertGreater(int(unit["TimeoutStopSec"]), 60)  # stop_timeout_s

    def test_users_of_a_directory_are_known(self):
        """Both read names of users when they start: after what brings the directory's, which they do not ask for themselves."""
        for unit in ("callgate.service", "callgate-guard.service"):
            settings = [line.split("=", 1) for line in (self.tree / "usr/lib/systemd/system" / unit).read_text().splitlines()
                        if "=" in line and not line.startswith("#")]
            with self.subTest(unit=unit):
                self.assertEqual([key for key, value in settings if "nss-user-lookup.target" in value.split()], ["After"])

    def test_exposure(self):
        """systemd's figure, times ten; seccomp filters, which it asks for, would blind the agent (see the unit)."""
        run("systemd-analyze", "security", "--offline=yes", "--threshold=70", self.tree / "usr/lib/systemd/system/callgate.service")

    def test_logrotate_reads_its_file(self):
        run("logrotate", "--debug", "--state", self.place / "state", self.tree / "etc/logrotate.d/callgate")

    def test_logrotate_reaches_an_agent_without_the_unit(self):
        """systemctl and callgate only write down what they are asked for; systemctl fails where no unit runs."""
        place = Path(tempfile.mkdtemp(dir=self.place))
        calls, log, configuration = place / "calls", place / "audit.jsonl", place / "logrotate"
        configuration.write_text((self.tree / "etc/logrotate.d/callgate").read_text().replace("/var/log/callgate/audit.jsonl", str(log)))
        asked = {0: ["systemctl reload --quiet callgate.service"]}
        asked[1] = [*asked[0], "callgate reload"]
        for code, expected in asked.items():
            calls.write_text("")
            log.write_text("{}\n")
            for name in ("systemctl", "callgate"):
                program = place / name
                program.write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\nexit {code}\n')
                program.chmod(0o755)
            run("logrotate", "--force", "--state", place / "state", configuration, env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}"})
            self.assertEqual(calls.read_text().splitlines(), expected)


class TestRole(Packages):
    """packaging/ansible, run for real."""
    POLICY = {"version": "1", "server": {"package": "one"}, "default": "deny"}

    def setUp(self):
        self.host = Host(self.place, self.tree / "usr/bin/callgate")
        for name in ("one.json", "two.yaml", "three.yml"):
            policy = {**self.POLICY, "server": {"package": name.split(".")[0]}}
            (self.host.policies / name).write_text(json.dumps(policy))
        for name in ("one.test.json", "policy.schema.json"):
            (self.host.policies / name).write_text("{}")
        self.before = {"callgate.json": "{}", "policies.d/old.yaml": json.dumps(self.POLICY)}
        for name, text in self.before.items():
            (self.host.configuration / name).write_text(text)

    def test_what_is_there_afterwards(self):
        code, said, calls = self.host.play({"unnamed": "deny"})
        self.assertEqual(code, 0, said)
        files = self.host.files()
        self.assertEqual(set(files), {"callgate.json", *(f"policies.d/{name}" for name in ("one.json", "two.yaml", "three.yml"))})
        self.assertEqual(json.loads(files["callgate.json"]), {"unnamed": "deny"})
        self.assertIn("restart callgate.service", calls)
        self.assertEqual(self.host.left_over(), [])
        code, said, calls = self.host.play({"unnamed": "deny"})
        self.assertEqual(code, 0, said)
        self.assertIn("changed=0", said)
        self.assertNotIn("restart callgate.service", calls)

    def test_what_is_written_is_in_force_though_a_later_task_fails(self):
        code, said, calls = self.host.play({"unnamed": "deny"}, fails="daemon-reload")
        self.assertNotEqual(code, 0, said)
        self.assertEqual(json.loads(self.host.files()["callgate.json"]), {"unnamed": "deny"})
        self.assertIn("restart callgate.service", calls)
        self.assertEqual(self.host.left_over(), [])

    def test_what_is_bad_changes_nothing(self):
        self.refused({"unnamd": "deny"}, "unnamd")
        (self.host.policies / "two.yaml").write_text("version: '1'\nsever: {package: two}\n")
        self.refused({"unnamed": "deny"}, "sever")

    def test_where_no_policy_is_found_none_is_removed(self):
        self.refused({}, "holds no policy", callgate_policies=str(self.host.policies) + "-mistyped")
        for file in self.host.policies.iterdir():
            if not file.name.endswith((".test.json", ".schema.json")):
                file.unlink()
        self.refused({}, "holds no policy")

    def test_policies_are_left_or_all_removed_where_that_is_said(self):
        self.refused({}, "callgate_policies_remove_all", callgate_policies_remove_all=True)
        code, said, _ = self.host.play({}, callgate_policies="")
        self.assertEqual(code, 0, said)
        self.assertIn("policies.d/old.yaml", self.host.files())
        code, said, calls = self.host.play({}, callgate_policies="", callgate_policies_remove_all=True)
        self.assertEqual(code, 0, said)
        self.assertEqual(set(self.host.files()), {"callgate.json"})
        self.assertIn("restart callgate.service", calls)

    def refused(self, config, problem, **more):
        code, said, calls = self.host.play(config, **more)
        self.assertNotEqual(code, 0, said)
        self.assertIn(problem, said)
        self.assertEqual(self.host.files(), self.before)
        self.assertNotIn("restart callgate.service", calls)
        self.assertEqual(self.host.left_over(), [])

    def test_grants_are_checked_and_installed(self):
        good, bad = ({"version": "1", "grants": {"ci": {"match": {key: "root"}}}} for key in ("user", "usr"))
        self.refused({}, "usr", callgate_grants=bad)
        code, said, calls = self.host.play({}, callgate_grants=good)
        self.assertEqual(code, 0, said)
        self.assertEqual(json.loads(self.host.files()["grants.json"]), good)
        self.assertIn("restart callgate.service", calls)
        code, said, _ = self.host.play({})
        self.assertEqual(code, 0, said)
        self.assertIn("grants.json", self.host.files())


class TestChart(Packages):
    """packaging/helm: its templates by Go's own engine, with what Helm adds to it for ours."""
    CHART = ROOT / "packaging/helm/callgate"

    @classmethod
    def setUpClass(cls):
        cls.renderer = cls.place / "render_chart"
        run("go", "build", "-o", cls.renderer, Path(__file__).with_name("render_chart.go"),
            env={**os.environ, "GOCACHE": str(cls.place / "go"), "GOFLAGS": "-buildvcs=false", "GOPROXY": "off", "CGO_ENABLED": "0"})

    def rendered(self, **values):
        """The ConfigMap of the configuration, that of the policies, and the DaemonSet."""
        values = {**yaml.safe_load((self.CHART / "values.yaml").read_text()), **values}
        chart = yaml.safe_load((self.CHART / "Chart.yaml").read_text())
        data = {"Values": values, "Release": {"Name": "it", "Namespace": "here"}, "Chart": {"AppVersion": chart["appVersion"]}}
        done = subprocess.run([self.renderer, self.CHART], input=json.dumps(data), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout)}
        names = [("ConfigMap", "it-callgate"), ("ConfigMap", "it-callgate-policies"), ("DaemonSet", "it-callgate")]
        self.assertEqual(set(found), set(names))
        pod = found[names[2]]["spec"]["template"]["spec"]
        mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        self.assertEqual({mount["name"] for mount in mounts.values()}, {volume["name"] for volume in pod["volumes"]})
        return *(found[name] for name in names), mounts

    def check(self, maps):
        """As the agent would see them."""
        place = Path(tempfile.mkdtemp(dir=self.place))
        for directory, data in zip((place, place / "policies.d"), maps):
            directory.mkdir(exist_ok=True)
            for name, text in data["data"].items():
                (directory / name).write_text(text)
        self.callgate("check", *(path for path in place.rglob("*") if path.is_file()))

    def test_nothing_given(self):
        config, policies, _, mounts = self.rendered()
        self.assertEqual((config["data"], policies["data"]), ({"callgate.json": "{}"}, None))
        self.assertNotIn("/etc/callgate/grants.json", mounts)

    def test_grants(self):
        policies = {"one": {"version": "1", "server": {"package": "one"}, "default": "deny"}}
        grants = {"version": "1", "grants": {"ci": {"match": {"user": "ci", "exe": "/usr/bin/<&>"}}}}
        _, _, without, _ = self.rendered(policies=policies)
        *maps, pods, mounts = self.rendered(policies=policies, grants=grants)
        self.assertEqual(json.loads(maps[0]["data"]["grants.json"]), grants)
        self.check(maps)
        self.assertEqual(mounts["/etc/callgate/grants.json"],
                         {"name": "config", "mountPath": "/etc/callgate/grants.json", "subPath": "grants.json", "readOnly": True})
        # A file that is mounted alone stays as it is while the pod lives.
        annotations = [each["spec"]["template"]["metadata"]["annotations"]["callgate/config"] for each in (without, pods)]
        self.assertNotEqual(*annotations)

    def test_volumes_of_ones_own(self):
        volume = {"name": "webhook", "secret": {"secretName": "callgate-webhook", "defaultMode": 0o400}}
        mount = {"name": "webhook", "mountPath": "/etc/callgate-webhook", "readOnly": True}
        _, _, pods, mounts = self.rendered(extraVolumes=[volume], extraVolumeMounts=[mount])
        self.assertIn(volume, pods["spec"]["template"]["spec"]["volumes"])
        self.assertEqual(mounts["/etc/callgate-webhook"], mount)


class TestPages(Packages):
    def page(self, name):
        file, = (self.tree / "usr/share/man").rglob(f"{name}.gz")
        return run("gzip", "-dc", file)

    def test_each_verb_has_its_page_and_each_option_its_place(self):
        verbs = self.verbs()
        self.assertIn("run", verbs)
        found = {path.name for path in (self.tree / "usr/share/man/man8").iterdir()}
        self.assertEqual(found, {"callgate.8.gz"} | {f"callgate-{verb}.8.gz" for verb in verbs})
        for verb in verbs:
            page = self.page(f"callgate-{verb}.8").replace("\\-", "-")
            below = self.verbs(verb)
            for name in below:
                self.assertIn(f".Ss {verb} {name}\n", page)
            for option in set().union(*(self.options(verb, *name) for name in [(), *((name,) for name in below)])) - {"--help"}:
                self.assertRegex(page, rf"(?m)^\.It .*Fl {re.escape(option[1:])}\b", verb)
            self.assertIn(f".Xr callgate-{verb} 8", self.page("callgate.8"))

    def test_pages_are_well_formed(self):
        for file in (self.tree / "usr/share/man").rglob("*.gz"):
            page = self.place / file.stem
            page.write_text(run("gzip", "-dc", file))
            self.assertEqual(run("mandoc", "-Tlint", "-Wwarning", page), "")

    def test_every_member_of_the_configuration_is_described(self):
        source = (ROOT / "agent/lifecycle/config.cpp").read_text()
        page = self.page("callgate.json.5")
        tables = dict(re.findall(r"k(\w+)Keys\[\] = \{(.*?)\}", source, re.S))
        tables = {table: re.findall(r'"(\w+)"', text) for table, text in tables.items()}
        self.assertIn("Top", tables)

        def prefix(table):
            holders = [each for each, keys in tables.items() if table.lower() in keys]
            return f"{prefix(holders[0])}{table.lower()}." if holders else ""

        for table, keys in tables.items():
            for key in keys:
                if f"k{key.capitalize()}Keys" in source:
                    continue  # an object: its members are
                self.assertIn(f".It Va {prefix(table)}{key}\n", page)


class TestCompletion(Packages):
    def complete(self, *words):
        """What bash offers for the last word."""
        file = self.tree / "usr/share/bash-completion/completions/callgate"
        line = " ".join(shlex.quote(word) for word in words)
        script = (f"compopt() {{ :; }}; . {shlex.quote(str(file))}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
                  f"_callgate {words[0]} {shlex.quote(words[-1])} {shlex.quote(words[-2])}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return set(run("bash", "--norc", "-c", script).split())

    def test_bash_offers_verbs_and_options(self):
        self.assertEqual(self.complete("callgate", ""), {*self.verbs(), "--help"})
        self.assertEqual(self.complete("callgate", "st"), {"status"})
        for verb in self.verbs():
            self.assertEqual(self.complete("callgate", verb, "-"), self.options(verb), verb)
            for below in self.verbs(verb):
                self.assertIn(below, self.complete("callgate", verb, ""))
                self.assertEqual(self.complete("callgate", verb, below, "-"), self.options(verb, below), (verb, below))
        self.assertEqual(self.complete("callgate", "pins", "acc"), {"accept"})
        self.assertIn("--reason", self.complete("callgate", "approvals", "deny", "k3f9x0wq2m", "--r"))
        self.assertEqual(self.complete("callgate", "approvals", "deny", "k3f9x0wq2m", "--reason", ""), set())

    def test_bash_offers_files_where_files_are_meant(self):
        (self.place / "one.json").touch()
        self.assertEqual(self.complete("callgate", "check", f"{self.place}/one"), {f"{self.place}/one.json"})
        self.assertEqual(self.complete("callgate", "tail", "--audit", f"{self.place}/one"), {f"{self.place}/one.json"})
        self.assertEqual(self.complete("callgate", "run", "--config", f"{self.place}/one"), set())  # no directory
        self.assertIn(str(os.getpid()), self.complete("callgate", "run", "--scope-tree", ""))
        self.assertEqual(self.complete("callgate", "tail", "-n", ""), set())

    def test_fish_offers_verbs_and_options(self):
        file = self.tree / "usr/share/fish/vendor_completions.d/callgate.fish"
        home = {"HOME": str(self.place), "PATH": f"{self.tree}/usr/bin:/usr/bin:/bin"}

        def offered(line):
            said = run("fish", "--no-config", "-c", f"source {file}; complete -C {shlex.quote(line)}", env=home)
            return {row.split("\t")[0] for row in said.splitlines()}
        self.assertEqual(offered("callgate "), set(self.verbs()))
        for verb in self.verbs():
            expected = {name for name in self.options(verb) - {"--help"} if name.startswith("--")}
            self.assertEqual({name for name in offered(f"callgate {verb} --")}, expected, verb)
            self.assertLessEqual(set(self.verbs(verb)), offered(f"callgate {verb} "), verb)
            for below in self.verbs(verb):
                expected = {name for name in self.options(verb, below) - {"--help"} if name.startswith("--")}
                self.assertEqual(offered(f"callgate {verb} {below} --"), expected, (verb, below))

    def test_zsh_reads_its_file(self):
        file = self.tree / "usr/share/zsh/vendor-completions/_callgate"
        run("zsh", "-n", file)
        text = file.read_text()
        for verb in self.verbs():
            self.assertIn(f"'{verb}')\n", text)
            for option in self.options(verb):
                self.assertRegex(text.split(f"\n'{verb}')\n")[1].split(";;")[0], rf"'\*?{re.escape(option)}\[", verb)
            of_verb = text.split(f"\n'{verb}')\n")[1].split("\n    ;;\n'")[0]
            for below in self.verbs(verb):
                self.assertIn(f"    '{below}:", of_verb)
                for option in self.options(verb, below):
                    self.assertRegex(of_verb.split(f"\n    '{below}')\n")[1].split(";;")[0], rf"'\*?{re.escape(option)}\[", below)


if __name__ == "__main__":
    if not (BUILD / "CPackConfig.cmake").exists():
        sys.exit(f"test_package.py: {BUILD} is no build directory; name it in CALLGATE_BUILD_DIR")
    unittest.main(verbosity=2)
