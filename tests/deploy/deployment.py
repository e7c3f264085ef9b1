"""What the tests of deploy/ share: the files, and what a running server exports."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
sys.path.insert(0, str(ROOT / "tests/e2e"))
import support  # noqa: E402

# Added by Prometheus itself, not by offerd.
SYNTHETIC = {"up": {"job": set(), "instance": set()}}
# What the scrape adds to every series.
SCRAPED = {"job", "instance"}
# Labels whose values come from callers or appear with their first use.
OPEN_LABELS = {"placement", "policy", "version", "code", "le"}
GRPC_CODES = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}


def need_promtool():
    """Ends the whole module with 77, which CTest shows as skipped."""
    if shutil.which("promtool") is None:
        print("SKIPPED: promtool is not installed; scripts/setup installs it", file=sys.stderr)
        sys.exit(77)


def promtool(*arguments, cwd=None):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, cwd=cwd)


def load_yaml(path):
    return yaml.safe_load(path.read_text())


def load_all_yaml(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def version():
    return re.search(r"project\(offerd VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]


@functools.cache
def exported_metrics():
    """{name: {label: values}} of a server that has decided, heard, published, made a snapshot and refused something."""
    folder = support.Folder()
    try:
        server = support.Server(folder.path).start()
        support.set_up_shop(server)
        (folder.path / "guarded.textproto").write_text('name: "guarded" policy: "learned" gate { guard: true }')
        server.ctl("placement", "set", folder.path / "guarded.textproto")
        decision = server.ctl("rank", "--placement", "home", "--customer", "anna", "--request-id", "r1")
        offer = decision["slots"][0]["offer_id"]
        server.ctl("feedback", "--kind", "click", "--event-id", "e1", "--customer", "anna", "--decision", decision["decision_id"], "--offer", offer)
        server.ctl("policy", "publish", "learned")
        server.ctl("snapshot", "create")
        server.ctl("rank", "--placement", "nowhere", check=False)
        text = urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics").read().decode()
        server.close()
    finally:
        folder.close()
    metrics = {}
    for line in text.splitlines():
        sample = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ", line)
        if sample is None or line.startswith("#"):
            continue
        labels = metrics.setdefault(sample[1], {})
        for label, value in re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', sample[2] or ""):
            labels.setdefault(label, set()).add(value)
    return metrics


WORDS = {
    "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "and", "or", "unless", "bool", "inf", "nan",
}


def selectors(expression):
    """[(metric, {label: value})] of a PromQL expression, and the labels it groups or joins by."""
    groups = set()

    def take_groups(match):
        groups.update(name.strip() for name in match[2].split(",") if name.strip())
        return " "

    found = []

    def take_selector(match):
        matchers = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', match[2])
        found.append((match[1], dict(matchers)))
        return " "

    rest = re.sub(r"#.*", "", expression)
    rest = re.sub(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}", take_selector, rest)
    rest = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", take_groups, rest)
    rest = re.sub(r"\[[^\]]*\]", " ", rest)
    rest = re.sub(r"\b[0-9][0-9a-z.]*\b", " ", rest)
    for name, call in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(?)", rest):
        if not call and name not in WORDS:
            found.append((name, {}))
    return found, groups


def check_expression(test, expression, metrics):
    """Every metric, label and label value that the expression names is one that the server exports."""
    found, groups = selectors(expression)
    test.assertTrue(found, f"no metric in {expression!r}")
    known = set(SCRAPED)
    for name, matchers in found:
        labels = metrics.get(name, SYNTHETIC.get(name))
        test.assertIsNotNone(labels, f"{name} is not exported, in {expression!r}")
        known |= labels.keys()
        for label, value in matchers.items():
            if label in SCRAPED:
                continue
            test.assertIn(label, labels, f"label of {name} in {expression!r}")
            values = value.split("|")
            if label == "code":
                test.assertLessEqual(set(values), GRPC_CODES, expression)
            elif label == "method" and name.startswith("offerd_request_duration_seconds"):
                # Histograms appear with the first call; the counter beside it has every method from the start.
                test.assertLessEqual(set(values), metrics["offerd_requests_total"]["method"], expression)
            elif label not in OPEN_LABELS:
                test.assertLessEqual(set(values), labels[label], expression)
    test.assertLessEqual(groups, known, f"groups of {expression!r}")


def check_rules_parse(test, expressions):
    """Each expression parses: promtool reads them as recording rules. `expressions` is {place: text}."""
    rules = [{"record": f"check:{i}".replace(":", "_"), "expr": text} for i, text in enumerate(expressions.values())]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rules.yml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "check", "rules": rules}]}))
        done = promtool("check", "rules", path)
    test.assertEqual(done.returncode, 0, f"{done.stderr}\nin the order of {list(expressions)}")


def check_config(test, text, replacements):
    """offerd --check_config on a configuration whose files stand elsewhere here."""
    for old, new in replacements.items():
        test.assertIn(old, text)
        text = text.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        # The parent of the store has to be there.
        text, stores = re.subn(r'^store_path: "[^"]*"', f'store_path: "{folder}/store"', text, flags=re.MULTILINE)
        test.assertEqual(stores, 1)
        path = pathlib.Path(folder) / "offerd.textproto"
        path.write_text(text)
        done = subprocess.run([support.BIN / "offerd", "--config", path, "--check_config"], capture_output=True, text=True)
    test.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def tokens_in(folder):
    for role in ("frontend", "feedback", "catalogue", "admin"):
        (pathlib.Path(folder) / f"{role}.token").write_text(os.urandom(24).hex())
