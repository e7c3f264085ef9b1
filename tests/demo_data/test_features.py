"""FEATURES.md shows the list that reference.py measures. Run as test_convert.py says."""

import pathlib
import sys
import unittest

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo_data"
sys.path.insert(0, str(SOURCES))

import reference  # noqa: E402


class FeaturesTest(unittest.TestCase):
    def test_table_is_the_list_in_use(self):
        self.assertIn(reference.feature_table(), (SOURCES / "FEATURES.md").read_text(encoding="utf-8"))

    def test_crosses_use_earlier_features(self):
        known = set()
        for name, feature in (reference.HELPERS | reference.FEATURES).items():
            if isinstance(feature, reference.Cross):
                self.assertLessEqual({feature.left, feature.right}, known)
            known.add(name)


if __name__ == "__main__":
    unittest.main()
