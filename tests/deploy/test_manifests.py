"""Kubernetes, compose, systemd and image agree with each other, with the schemas, and with what offerd takes."""

import configparser
import re
import shutil
import subprocess
import tempfile
import unittest
import warnings

import yaml

import deployment
from deployment import DEPLOY, ROOT

KUBERNETES = DEPLOY / "kubernetes"
PORTS = {"grpc": 7070, "metrics": 9464}
USER = 10001
LONGEST_STOP = 20  # seconds that main.cc gives a drain; the last snapshot comes after it


def manifests():
    """Those that kustomization.yaml lists, by kind and name."""
    found = {}
    for name in deployment.load_yaml(KUBERNETES / "kustomization.yaml")["resources"]:
        for document in deployment.load_all_yaml(KUBERNETES / name):
            found[document["kind"], document["metadata"]["name"]] = document
    return found


def stateful_set():
    return manifests()["StatefulSet", "offerd"]["spec"]


def container():
    (only,) = stateful_set()["template"]["spec"]["containers"]
    return only


def field(text, name):
    return re.search(rf'^{name}: "([^"]*)"', text, re.MULTILINE)[1]


class KubernetesTest(unittest.TestCase):
    def test_every_file_is_a_resource(self):
        listed = set(deployment.load_yaml(KUBERNETES / "kustomization.yaml")["resources"])
        self.assertEqual(listed, {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"})

    def test_manifests_fit_the_schemas(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import kubernetes_validate

            for (kind, name), document in manifests().items():
                for release in ("1.29", "1.37"):  # gRPC probes are stable from 1.27 on
                    with self.subTest(f"{kind} {name}, {release}"):
                        try:
                            kubernetes_validate.validate(document, release, strict=True)
                        except kubernetes_validate.VersionNotSupportedError as error:
                            self.skipTest(str(error))

    @unittest.skipUnless(shutil.which("kubectl"), "SKIPPED: no kubectl to run kustomize with")
    def test_kustomize_builds_and_names_hang_together(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(KUBERNETES, folder, dirs_exist_ok=True)
            shutil.rmtree(f"{folder}/tokens", ignore_errors=True)
            subprocess.run([f"{folder}/make_tokens"], check=True)
            done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        built = {(document["kind"], document["metadata"]["name"]): document for document in yaml.safe_load_all(done.stdout)}
        pod = built["StatefulSet", "offerd"]["spec"]["template"]["spec"]
        names = {volume["name"]: volume for volume in pod["volumes"]}
        config = built["ConfigMap", names["config"]["configMap"]["name"]]
        self.assertEqual(config["data"]["offerd.textproto"], (KUBERNETES / "offerd.textproto").read_text())
        tokens = built["Secret", names["tokens"]["secret"]["secretName"]]["data"]
        self.assertEqual(set(tokens), set(re.findall(r"tokens/([a-z]+\.token)", config["data"]["offerd.textproto"])))
        self.assertEqual(len(set(tokens.values())), 4, "each role has a token of its own")
        self.assertEqual(pod["containers"][0]["image"], f"offerd:{deployment.version()}")

    def test_configuration_is_sound(self):
        with tempfile.TemporaryDirectory() as folder:
            deployment.tokens_in(folder)
            deployment.check_config(self, (KUBERNETES / "offerd.textproto").read_text(), {"/etc/offerd/tokens": folder})

    def test_configuration_names_what_is_mounted(self):
        text = (KUBERNETES / "offerd.textproto").read_text()
        mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
        self.assertTrue(field(text, "store_path").startswith(mounts["store"] + "/"))
        self.assertEqual(container()["args"], ["--config", mounts["config"] + "/offerd.textproto"])
        for path in re.findall(r'token_file: "([^"]*)"', text):
            self.assertTrue(path.startswith(mounts["tokens"] + "/"))
        volumes = {volume["name"] for volume in stateful_set()["template"]["spec"]["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in stateful_set()["volumeClaimTemplates"]}
        self.assertEqual(set(mounts), volumes)
        generated = deployment.load_yaml(KUBERNETES / "kustomization.yaml")
        self.assertEqual(generated["configMapGenerator"][0]["files"], ["offerd.textproto"])
        secrets = {path.rpartition("/")[2] for path in generated["secretGenerator"][0]["files"]}
        self.assertEqual(secrets, {path.rpartition("/")[2] for path in re.findall(r'token_file: "([^"]*)"', text)})

    def test_ports_are_the_same_everywhere(self):
        text = (KUBERNETES / "offerd.textproto").read_text()
        self.assertEqual(field(text, "listen"), f"0.0.0.0:{PORTS['grpc']}")
        self.assertEqual(field(text, "metrics_listen"), f"0.0.0.0:{PORTS['metrics']}")
        self.assertEqual({port["name"]: port["containerPort"] for port in container()["ports"]}, PORTS)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(container()[probe]["grpc"]["port"], PORTS["grpc"])
        for (kind, name), document in manifests().items():
            if kind == "Service":
                for port in document["spec"]["ports"]:
                    self.assertEqual(port["port"], PORTS[port["targetPort"]], name)
        policy = manifests()["NetworkPolicy", "offerd"]["spec"]
        self.assertEqual({port["port"] for rule in policy["ingress"] for port in rule["ports"]}, set(PORTS.values()))
        annotations = stateful_set()["template"]["metadata"]["annotations"]
        self.assertEqual(annotations["prometheus.io/port"], str(PORTS["metrics"]))

    def test_everything_selects_the_pod(self):
        labels = stateful_set()["template"]["metadata"]["labels"].items()
        self.assertLessEqual(stateful_set()["selector"]["matchLabels"].items(), labels)
        for (kind, name), document in manifests().items():
            spec = document["spec"]
            if kind == "Service":
                self.assertLessEqual(spec["selector"].items(), labels, name)
            if kind == "PodDisruptionBudget":
                self.assertLessEqual(spec["selector"]["matchLabels"].items(), labels)
            if kind == "NetworkPolicy":
                self.assertLessEqual(spec["podSelector"]["matchLabels"].items(), labels)
        self.assertEqual(manifests()["Service", stateful_set()["serviceName"]]["spec"]["clusterIP"], "None")

    def test_one_process_owns_the_store_and_has_time_to_stop(self):
        self.assertEqual(stateful_set()["replicas"], 1)
        pod = stateful_set()["template"]["spec"]
        sleep = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
        self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], sleep + LONGEST_STOP + 60)
        main = (ROOT / "server/main.cc").read_text()
        self.assertIn(f"kDrainTime = absl::Seconds({LONGEST_STOP})", main)

    def test_the_pod_may_do_little(self):
        pod, own = stateful_set()["template"]["spec"], container()["securityContext"]
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertEqual({pod["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")}, {USER})
        self.assertEqual(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault")
        self.assertFalse(own["allowPrivilegeEscalation"])
        self.assertTrue(own["readOnlyRootFilesystem"])
        self.assertEqual(own["capabilities"]["drop"], ["ALL"])
        self.assertFalse(pod["automountServiceAccountToken"])

    def test_the_memory_alert_goes_with_the_limit(self):
        limits = container()["resources"]["limits"]
        gibibytes = int(re.fullmatch(r"(\d+)Gi", limits["memory"])[1])
        self.assertNotIn("cpu", limits)
        rules = (DEPLOY / "prometheus/offerd_rules.yml").read_text()
        threshold = int(re.search(r"process_resident_memory_bytes\{[^}]*\} > (\d+)", rules)[1])
        self.assertEqual(threshold, int(0.85 * gibibytes * 2**30))
        compose = deployment.load_yaml(DEPLOY / "compose/compose.yaml")["services"]["offerd"]
        self.assertEqual(compose["deploy"]["resources"]["limits"]["memory"], f"{gibibytes}G")
        self.assertIn(f"\nMemoryMax={gibibytes}G\n", (DEPLOY / "systemd/offerd.service").read_text())


class ComposeTest(unittest.TestCase):
    def setUp(self):
        self.file = deployment.load_yaml(DEPLOY / "compose/compose.yaml")
        self.offerd = self.file["services"]["offerd"]

    def test_configuration_is_sound(self):
        with tempfile.TemporaryDirectory() as folder:
            deployment.tokens_in(folder)
            deployment.check_config(self, (DEPLOY / "compose/offerd.textproto").read_text(), {"/run/secrets": folder})

    def test_names_paths_and_ports_hang_together(self):
        text = (DEPLOY / "compose/offerd.textproto").read_text()
        self.assertEqual(self.offerd["image"], f"offerd:{deployment.version()}")
        self.assertEqual(field(text, "listen"), f"0.0.0.0:{PORTS['grpc']}")
        mounts = dict(reversed(volume.split(":")[:2]) for volume in self.offerd["volumes"])
        self.assertIn(field(text, "store_path"), mounts)
        self.assertIn(self.offerd["command"][1], mounts)
        self.assertEqual(set(re.findall(r'token_file: "/run/secrets/([^"]*)"', text)), set(self.offerd["secrets"]))
        self.assertEqual(self.offerd["environment"]["OFFERD_TOKEN_FILE"], "/run/secrets/admin.token")
        (job,) = deployment.load_yaml(DEPLOY / "compose/prometheus.yml")["scrape_configs"]
        self.assertEqual(job["job_name"], "offerd")
        self.assertEqual(job["static_configs"][0]["targets"], [f"offerd:{PORTS['metrics']}"])
        self.assertEqual(field(text, "metrics_listen"), f"0.0.0.0:{PORTS['metrics']}")

    def test_everything_named_is_declared_and_there(self):
        for name, service in self.file["services"].items():
            for secret in service.get("secrets", []):
                self.assertIn(secret, self.file["secrets"], name)
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((DEPLOY / "compose" / source).exists(), source)
                else:
                    self.assertIn(source, self.file["volumes"])
            self.assertRegex(service["image"], r":[0-9v][0-9.]+$", "a pinned version")
        script = (DEPLOY / "compose/make_secrets").read_text()
        for name, secret in self.file["secrets"].items():
            self.assertEqual(secret["file"], f"./secrets_made/{name}")
            self.assertIn(name, script)

    def test_only_this_machine_reaches_the_ports(self):
        for service in self.file["services"].values():
            for port in service["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_the_board_is_where_grafana_looks(self):
        (provider,) = deployment.load_yaml(DEPLOY / "compose/grafana/dashboards/offerd.yaml")["providers"]
        volumes = self.file["services"]["grafana"]["volumes"]
        self.assertIn(f"../grafana:{provider['options']['path']}:ro", volumes)
        self.assertIn("./grafana:/etc/grafana/provisioning:ro", volumes)
        (source,) = deployment.load_yaml(DEPLOY / "compose/grafana/datasources/prometheus.yaml")["datasources"]
        self.assertEqual(source["url"], "http://prometheus:9090")

    @unittest.skipUnless(shutil.which("promtool"), "SKIPPED: promtool is not installed; scripts/setup installs it")
    def test_prometheus_takes_its_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(DEPLOY / "compose/prometheus.yml", folder)
            shutil.copy(DEPLOY / "prometheus/offerd_rules.yml", folder)
            done = deployment.promtool("check", "config", "prometheus.yml", cwd=folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_scrape_in_a_cluster_finds_the_pod(self):
        # Debian's promtool is built without service discovery of Kubernetes, so only what it would look for is checked.
        (job,) = deployment.load_yaml(DEPLOY / "prometheus/prometheus_kubernetes.yml")["scrape_configs"]
        self.assertEqual(job["job_name"], "offerd")
        kept = {rule["source_labels"][0]: rule["regex"] for rule in job["relabel_configs"] if rule.get("action") == "keep"}
        self.assertEqual(kept["__meta_kubernetes_pod_container_port_name"], "metrics")
        self.assertEqual(kept["__meta_kubernetes_pod_label_app_kubernetes_io_name"], stateful_set()["template"]["metadata"]["labels"]["app.kubernetes.io/name"])


class SystemdTest(unittest.TestCase):
    def setUp(self):
        text = (DEPLOY / "systemd/offerd.service").read_text()
        self.unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        self.unit.optionxform = str
        self.unit.read_string(text)

    def test_configuration_is_sound(self):
        deployment.check_config(self, (DEPLOY / "systemd/offerd.textproto").read_text(), {})

    def test_the_store_is_in_the_state_folder(self):
        folder = "/var/lib/" + self.unit["Service"]["StateDirectory"]
        self.assertTrue(field((DEPLOY / "systemd/offerd.textproto").read_text(), "store_path").startswith(folder + "/"))

    def test_it_has_time_to_stop(self):
        self.assertGreaterEqual(int(self.unit["Service"]["TimeoutStopSec"]), LONGEST_STOP + 60)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "SKIPPED: systemd-analyze is not installed")
    def test_systemd_understands_it_and_finds_little_exposed(self):
        done = subprocess.run(["systemd-analyze", "verify", DEPLOY / "systemd/offerd.service"], capture_output=True, text=True)
        complaints = [line for line in done.stderr.splitlines() if "offerd.service" in line and "is not executable" not in line]
        self.assertEqual(complaints, [])
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", DEPLOY / "systemd/offerd.service"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-200:])


if __name__ == "__main__":
    unittest.main()
