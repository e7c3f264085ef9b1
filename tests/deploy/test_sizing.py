"""docs/sizing.md says what was measured: its table holds the numbers of the results it names."""

import json
import re
import unittest

from deployment import ROOT

PAGE = (ROOT / "docs/sizing.md").read_text()


class SizingTest(unittest.TestCase):
    def test_the_table_holds_the_results(self):
        results = json.loads((ROOT / re.search(r"`(bench/results/sizing-[0-9a-f]+\.json)`", PAGE)[1]).read_text())
        rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line.endswith(" B |")]
        wanted = []
        for case in results["cases"].values():
            each = case["bytes_each"]
            wanted.append(" | ".join(f"{each[key]:,} B" for key in ("restarted", "running", "store")) + " |")
        self.assertEqual(len(rows), len(wanted))
        for numbers in wanted:
            self.assertEqual(sum(row.endswith("| " + numbers) for row in rows), 1, numbers)

    def test_defaults_are_those_of_the_configuration(self):
        config = (ROOT / "docs/configuration.md").read_text()
        for name in ("profile_bytes", "max_open_decisions", "max_stored_replies"):
            default = re.search(rf"`{name}` \(default ([0-9,]+)", PAGE)[1]
            self.assertRegex(config, rf"\| `{name}` \|[^\n]*\| {default} \|")


if __name__ == "__main__":
    unittest.main()
