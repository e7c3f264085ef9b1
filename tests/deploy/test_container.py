"""Dockerfile: small faults that are easily made. scripts/image --check builds the image and runs it; that takes minutes and root."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

import deployment
from deployment import DEPLOY, ROOT

TEXT = (ROOT / "Dockerfile").read_text()


def instructions():
    """[(instruction, rest)] with continued lines joined."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")))
    return [tuple(line.strip().split(None, 1)) for line in joined.splitlines() if line.strip()]


def last_stage():
    found = instructions()
    return found[max(i for i, (name, _) in enumerate(found) if name == "FROM"):]


def only(name):
    (rest,) = [rest for instruction, rest in last_stage() if instruction == name]
    return rest


class DockerfileTest(unittest.TestCase):
    def test_hadolint_finds_nothing(self):
        done = subprocess.run([pathlib.Path(sys.executable).parent / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_both_stages_have_the_same_pinned_base(self):
        (base,) = [rest for name, rest in instructions() if name == "ARG"]
        self.assertRegex(base, r"^BASE=\S*debian:12\.[0-9]+-slim$")
        self.assertEqual([rest for name, rest in instructions() if name == "FROM"], ["${BASE} AS build", "${BASE}"])

    def test_it_does_not_run_as_root(self):
        user = only("USER")
        self.assertRegex(user, r"^[1-9][0-9]+:[1-9][0-9]+$", "by number")
        after = [name for name, _ in last_stage()]
        self.assertNotIn("RUN", after[after.index("USER"):])
        for command in ("useradd --uid {0} ", "groupadd --gid {0} ", "install -d -o {0} -g {0} -m 0700 /var/lib/offerd"):
            self.assertIn(command.format(user.split(":")[0]), TEXT)
        pod = deployment.load_yaml(DEPLOY / "kubernetes/statefulset.yaml")["spec"]["template"]["spec"]
        self.assertEqual(str(pod["securityContext"]["runAsUser"]), user.split(":")[0])

    def test_it_says_how_it_is_and_how_to_stop_it(self):
        self.assertEqual(only("STOPSIGNAL"), "SIGTERM")
        health = only("HEALTHCHECK")
        self.assertEqual(json.loads(health.split("CMD ")[1]), ["/usr/local/bin/offerd-health"])
        self.assertIn("offerctl", (DEPLOY / "container/offerd-health").read_text())
        self.assertEqual(only("VOLUME"), "/var/lib/offerd")
        self.assertEqual(only("EXPOSE"), "7070 9464")
        self.assertEqual(json.loads(only("ENTRYPOINT")), ["/usr/local/bin/offerd"], "no shell: signals reach offerd")
        self.assertIn(f'image.version="{deployment.version()}"', TEXT)

    def test_it_holds_no_secrets(self):
        self.assertNotRegex(TEXT, r"(?i)(password|secret|token|api_?key)\s*[=:]")
        self.assertFalse([rest for name, rest in instructions() if name == "ADD"])
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        for path in ("deploy/compose/secrets_made", "deploy/kubernetes/tokens", ".git", "build", "**/*.token", "**/*.key", "**/*.pem"):
            self.assertIn(path, ignored)
        git = (ROOT / ".gitignore").read_text().splitlines()
        for path in ("deploy/compose/secrets_made/", "deploy/kubernetes/tokens/"):
            self.assertIn(path, git)

    def test_the_run_stage_has_every_library_that_the_programs_need(self):
        if deployment.support.BIN.parent.name != "release":
            self.skipTest("the image holds release binaries; others link more")
        installed = re.search(r"apt-get install -y --no-install-recommends ([^&]*)", only("RUN"))[1].split()
        libraries = set()
        for program in ("offerd", "offerctl"):
            dynamic = subprocess.run(["readelf", "-d", deployment.support.BIN / program], capture_output=True, text=True, check=True).stdout
            libraries |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
        # Every Debian has these; sanitizers are of the tests.
        libraries = {name for name in libraries if not re.match(r"lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+|asan|ubsan)\.so|ld-linux", name)}
        self.assertGreater(len(libraries), 10)
        known = set(installed)
        depends = subprocess.run(["dpkg-query", "-W", "-f=${Depends}, ", *installed], capture_output=True, text=True, check=True).stdout
        known |= {name.split()[0] for name in depends.split(",") if name.strip()}
        owners = {}
        for line in subprocess.run(["dpkg-query", "-S", *(f"*/{name}" for name in libraries)], capture_output=True, text=True).stdout.splitlines():
            package, _, path = line.partition(": ")
            owners.setdefault(path.rpartition("/")[2], set()).add(package.partition(":")[0])
        for library in libraries:
            self.assertTrue(owners.get(library, set()) & known, f"{library} is of {owners.get(library)}, which the image does not have")

    def test_the_configuration_in_the_image_is_sound(self):
        deployment.check_config(self, (DEPLOY / "container/offerd.textproto").read_text(), {})


if __name__ == "__main__":
    unittest.main()
