"""From a fixed order to a learned policy on evidence: evaluate, promote (refused and accepted), history, export, roll back."""

import csv
import json
import unittest

import support

PLACEMENT = """
name: "home"
policy: "learned"
fixed_policy: "fixed"
mode: APPRENTICE
slate_size: 1
reward { weights { kind: PURCHASE weight: 1 } }
window_seconds: 30
max_lateness_seconds: 1
randomised_share { share: 0.5 kind: UNIFORM }
matrix_share: 1
gate { min_effective_samples: 100 required: true guard: true }
"""


class ReleasesTest(unittest.TestCase):
    def setUp(self):
        self.folder = support.Folder()
        self.server = support.Server(self.folder.path, clock="REQUEST").start()
        self.offers = support.set_up_shop(self.server)
        self.write("placement", PLACEMENT)
        self.server.ctl("placement", "delete", "home")
        self.server.ctl("placement", "set", self.folder.path / "placement.textproto")
        stream = self.folder.path / "all.jsonl"
        support.write_stream(stream, 4000, 5)
        lines = stream.read_text().splitlines(keepends=True)
        (self.folder.path / "first.jsonl").write_text("".join(lines[:2000]))
        (self.folder.path / "second.jsonl").write_text("".join(lines[2000:]))

    def tearDown(self):
        self.server.close()
        self.folder.close()

    def write(self, name, text):
        path = self.folder.path / f"{name}.textproto"
        path.write_text(text)
        return path

    def play(self, part):
        self.server.ctl("play", "--stream", self.folder.path / f"{part}.jsonl", "--placement", "home", "--offer-items", self.offers,
                        "--offer-items-columns", "id=id,items=items")

    def promote(self, policy, *more):
        return self.server.ctl("policy", "promote", policy, "--placement", "home", *more, check=False)

    def test_a_policy_earns_its_place(self):
        self.play("first")
        refused = self.promote("learned")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("effective samples", refused.stderr)  # nothing has been logged behind its training
        self.server.ctl("policy", "publish", "learned")
        self.play("second")

        table = self.server.ctl("policy", "evaluate", "--policy", "learned")
        rows = {row["policy"]: row for row in table["rows"]}
        names = ["candidate", "fixed", "greedy", "random"]
        self.assertEqual(list(rows), ["live", *names, *(f"{name}, doubly robust" for name in names)])
        for name in names:  # two estimators of one thing
            plain, robust = rows[name]["reward"], rows[f"{name}, doubly robust"]["reward"]
            self.assertLess(abs(plain["value"] - robust["value"]), plain["upper_bound"] - plain["lower_bound"], name)
        self.assertAlmostEqual(rows["fixed, doubly robust"]["gain"]["value"], 0, delta=0.05)
        self.assertGreater(rows["candidate"]["gain"]["lower_bound"], 0)
        self.assertAlmostEqual(rows["fixed"]["gain"]["value"], 0, places=9)  # the fixed order is what answered
        self.assertLess(rows["random"]["reward"]["value"], rows["candidate"]["reward"]["value"])
        self.assertGreater(rows["live"]["revenue"]["value"], rows["live"]["reward"]["value"])
        text = self.server.ctl("policy", "evaluate", "--policy", "learned", parse=False)
        self.assertIn("gain over live", text)

        # The same from the exported file, by the estimators that have other people's goldens.
        exported = self.folder.path / "log.csv"
        self.server.ctl("log", "export", "--store", self.server.store, "--placement", "home", "--policy", "learned", "--output", exported)
        with open(exported, encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        self.assertEqual(len(lines), table["decisions"])
        again = self.server.ctl("policy", "evaluate", "--log", exported, "--estimator", "ips")["estimates"][0]
        self.assertAlmostEqual(again["value"], rows["candidate"]["reward"]["value"], places=9)
        self.assertAlmostEqual(sum(float(line["reward"]) for line in lines) / len(lines), rows["live"]["reward"]["value"], places=9)
        jsonl = self.server.ctl("log", "export", "--store", self.server.store, "--placement", "home", "--format", "jsonl", parse=False)
        self.assertEqual(sorted(json.loads(jsonl.splitlines()[0])), sorted(lines[0]))

        (self.folder.path / "bad.textproto").write_text('name: "bad" fixed { order: "offer-14" order: "offer-13" order: "offer-12" }')
        self.server.ctl("policy", "set", self.folder.path / "bad.textproto")
        table = self.server.ctl("policy", "evaluate", "--policy", "bad")  # an order that is not the placement's
        self.server.ctl("log", "export", "--store", self.server.store, "--placement", "home", "--policy", "bad", "--output", exported)
        again = self.server.ctl("policy", "evaluate", "--log", exported, "--estimator", "ips")["estimates"][0]
        bad = next(row for row in table["rows"] if row["policy"] == "candidate")
        self.assertAlmostEqual(again["value"], bad["reward"]["value"], places=9)
        worse = self.promote("bad")
        self.assertEqual(worse.returncode, 1)
        self.assertEqual(json.loads(worse.stdout)["outcome"], "REFUSED")
        live = self.write("live", PLACEMENT.replace("APPRENTICE", "LIVE"))
        around = self.server.ctl("placement", "set", live, check=False)
        self.assertEqual(around.returncode, 1)
        self.assertIn("FAILED_PRECONDITION", around.stderr)
        accepted = self.promote("learned")
        self.assertEqual(accepted.returncode, 0, accepted.stdout + accepted.stderr)
        self.assertEqual(json.loads(accepted.stdout)["outcome"], "ACCEPTED")
        placement = self.server.ctl("placement", "list")["placements"][0]
        self.assertEqual((placement["policy"], placement["mode"]), ("learned", "LIVE"))
        self.assertTrue(self.server.status()["guards"][0]["is_on"])

        history = self.server.ctl("policy", "history")["releases"]
        self.assertEqual([release["outcome"] for release in history], ["ACCEPTED", "REFUSED", "REFUSED"])
        self.assertIn("refused", self.server.ctl("policy", "history", parse=False))
        self.server.ctl("policy", "rollback", "--placement", "home", "--reason", "the test is over")
        placement = self.server.ctl("placement", "list")["placements"][0]
        self.assertEqual(placement["mode"], "APPRENTICE")
        self.server.terminate()
        self.assertEqual(self.replay()["differences"], 0)
        self.server.start()
        self.assertEqual(len(self.server.ctl("policy", "history")["releases"]), 4)

    def replay(self):
        return self.server.ctl("replay", "--store", self.server.store)


if __name__ == "__main__":
    unittest.main()
