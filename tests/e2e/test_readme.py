"""The README's Python program, run as it stands against the real server."""

import re
import subprocess
import sys
import unittest

import support


class ReadmeTest(unittest.TestCase):
    def test_the_python_program_of_the_readme_runs(self):
        text = (support.ROOT / "README.md").read_text()
        programs = re.findall(r"```python\n(.*?)```", text, re.S)
        self.assertEqual(len(programs), 1, "expected one Python program in README.md")
        folder = support.Folder()
        self.addCleanup(folder.close)
        server = support.Server(folder.path).start()
        self.addCleanup(server.close)
        stubs = support.generate_stubs(folder.path)
        program = programs[0].replace("127.0.0.1:7070", f"127.0.0.1:{server.port}")
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(stubs)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("decision", done.stdout)
        self.assertEqual(server.status()["events"]["applied"], 1)


if __name__ == "__main__":
    unittest.main()
