"""deploy/prometheus and deploy/runbook: rules parse, ask for what offerd exports, fire when they should; each has its page."""

import functools
import re
import subprocess
import unittest

import deployment
from deployment import DEPLOY, ROOT, support

deployment.need_promtool()

RULES = DEPLOY / "prometheus/offerd_rules.yml"
UNIT_TESTS = sorted((DEPLOY / "prometheus").glob("*_test.yml"))
RUNBOOK = DEPLOY / "runbook"


def alerts():
    return [rule for group in deployment.load_yaml(RULES)["groups"] for rule in group["rules"]]


class AlertsTest(unittest.TestCase):
    def test_rules_parse(self):
        done = deployment.promtool("check", "rules", RULES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_asks_for_what_a_running_server_exports(self):
        metrics = deployment.exported_metrics()
        for alert in alerts():
            with self.subTest(alert["alert"]):
                deployment.check_expression(self, alert["expr"], metrics)

    def test_every_alert_fires_and_keeps_still_as_its_unit_tests_say(self):
        done = deployment.promtool("test", "rules", *UNIT_TESTS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_has_a_unit_test_in_which_it_fires(self):
        fired = set()
        for test in [test for path in UNIT_TESTS for test in deployment.load_yaml(path)["tests"]]:
            fired |= {case["alertname"] for case in test["alert_rule_test"] if case["exp_alerts"]}
        self.assertEqual(fired, {alert["alert"] for alert in alerts()})

    def test_every_alert_has_its_page_and_every_page_its_alert(self):
        names = [alert["alert"] for alert in alerts()]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(set(names), {page.stem for page in RUNBOOK.glob("*.md")} - {"README"})
        index = (RUNBOOK / "README.md").read_text()
        for alert in alerts():
            name = alert["alert"]
            with self.subTest(name):
                self.assertEqual(alert["annotations"]["runbook"], f"deploy/runbook/{name}.md")
                self.assertIn(alert["labels"]["severity"], ("page", "ticket"))
                self.assertIn(f"[{name}]({name}.md)", index)
                text = (RUNBOOK / f"{name}.md").read_text()
                self.assertTrue(text.startswith(f"# {name}\n"))
                for heading in ("## What it means", "## How to look", "## What to do"):
                    self.assertIn(f"\n{heading}\n", text)
                for link in re.findall(r"\]\(([^)]+)\)", text):
                    self.assertTrue((RUNBOOK / link).exists(), link)

    def test_queries_in_the_runbook_parse_and_ask_for_what_is_exported(self):
        queries = {}
        for page in RUNBOOK.glob("Offerd*.md"):
            for number, line in enumerate(page.read_text().splitlines()):
                query = re.sub(r"\s+# .*", "", line.strip())
                if line.startswith("    ") and re.search(r"\b(offerd|process)_[a-z_]+", query) and "grep" not in query:
                    queries[f"{page.name}:{number + 1}"] = query
        self.assertGreater(len(queries), 10)
        deployment.check_rules_parse(self, queries)
        metrics = deployment.exported_metrics()
        for place, query in queries.items():
            with self.subTest(place):
                deployment.check_expression(self, query, metrics)

    def test_commands_in_the_runbook_are_those_of_offerctl(self):
        commands = set()
        for page in (*RUNBOOK.glob("*.md"), ROOT / "docs/deploy.md"):
            for command in re.findall(r"(?:^ {4}|`|-- )offerctl ([^`#\n]*)", page.read_text(), re.MULTILINE):
                commands.add((page.name, command.strip()))
        self.assertGreater(len(commands), 30)
        general = help_of()
        for page, command in sorted(commands):
            with self.subTest(f"{page}: offerctl {command}"):
                words = re.sub(r"--(token-file|server) \S+ ?", "", command).split()
                if words[0] == "COMMAND":
                    continue
                text, names = general, []
                while words and re.fullmatch("[a-z]+", words[0]) and "\nSubcommands:" in text:
                    self.assertRegex(text, rf"\n  {words[0]}\b")
                    names.append(words.pop(0))
                    text = help_of(*names)
                self.assertNotIn("\nSubcommands:", text, "a whole command")
                for option in re.findall(r"--[a-z-]+", command):
                    self.assertRegex(text + general, rf"{option}[ ,\n]")


@functools.cache
def help_of(*names):
    return subprocess.run([support.BIN / "offerctl", *names, "--help"], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    unittest.main()
