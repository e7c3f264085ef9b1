"""deploy/grafana/offerd.json: every panel parses and asks for what a running server exports; nothing exported is left unseen."""

import json
import unittest

import deployment

deployment.need_promtool()

BOARD = json.loads((deployment.DEPLOY / "grafana/offerd.json").read_text())
# Exported, and on purpose on no panel: offerd_requests_total and the like are seen by rate, exposer_* is about the endpoint.
UNSEEN_PREFIXES = ("exposer_",)


def panels():
    return [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def expressions():
    return {f"{panel['id']} {panel['title']} {target['refId']}": plain(target["expr"]) for panel in panels() for target in panel["targets"]}


def plain(expression):
    return expression.replace("$__rate_interval", "5m").replace("$instance", ".*")


class BoardTest(unittest.TestCase):
    def test_every_panel_parses(self):
        found = expressions()
        self.assertGreater(len(found), 30)
        self.assertFalse([text for text in found.values() if "$" in text], "a variable that this test does not know")
        deployment.check_rules_parse(self, found)

    def test_every_panel_asks_for_what_a_running_server_exports(self):
        metrics = deployment.exported_metrics()
        for place, expression in expressions().items():
            with self.subTest(place):
                deployment.check_expression(self, expression, metrics)

    def test_everything_exported_is_on_a_panel(self):
        seen = {name for text in expressions().values() for name, _ in deployment.selectors(text)[0]}
        for name in deployment.exported_metrics():
            base = name
            for suffix in ("_bucket", "_sum", "_count"):
                base = base.removesuffix(suffix)
            if not name.startswith(UNSEEN_PREFIXES):
                self.assertTrue({name, base, base + "_bucket", base + "_sum"} & seen, f"{name} is on no panel")

    def test_panels_have_titles_units_ids_and_do_not_overlap(self):
        ids = [panel["id"] for panel in BOARD["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        taken = set()
        for panel in BOARD["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells
        for panel in panels():
            self.assertTrue(panel["title"] and panel["fieldConfig"]["defaults"]["unit"])

    def test_the_variable_and_the_data_source_are_those_that_are_provisioned(self):
        (variable,) = BOARD["templating"]["list"]
        self.assertIn("offerd_build_info", variable["definition"])
        self.assertIn("offerd_build_info", deployment.exported_metrics())
        sources = deployment.load_yaml(deployment.DEPLOY / "compose/grafana/datasources/prometheus.yaml")["datasources"]
        used = {panel["datasource"]["uid"] for panel in panels()} | {variable["datasource"]["uid"]}
        self.assertEqual(used, {source["uid"] for source in sources})


if __name__ == "__main__":
    unittest.main()
