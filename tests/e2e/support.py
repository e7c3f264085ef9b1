"""Starts the real offerd in a folder of its own and talks to it: offerctl, and Python stubs generated from proto/."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("OFFERD_BIN", ROOT / "build/release/bin"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def generate_stubs(folder):
    """Python modules for proto/ in `folder`, put on the path."""
    out = pathlib.Path(folder) / "stubs"
    if not out.exists():
        out.mkdir()
        protos = [str(p.relative_to(ROOT / "proto")) for p in sorted((ROOT / "proto").rglob("*.proto"))]
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--grpc_python_out={out}", *protos],
            check=True,
        )
    if str(out) not in sys.path:
        sys.path.insert(0, str(out))
    # google.rpc is also a package of other distributions: only ours is wanted here.
    return out


class Server:
    """One offerd process on a store in `folder`. A fixed port, so that it can come back where it was."""

    def __init__(self, folder, **settings):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.metrics_port = free_port()
        self.config = self.folder / "offerd.textproto"
        self.store = self.folder / "store"
        lines = {
            "store_path": f'"{self.store}"',
            "listen": f'"127.0.0.1:{self.port}"',
            "metrics_listen": f'"127.0.0.1:{self.metrics_port}"',
            "durability": "SYNCED",
            "salt": '"test"',
            "min_free_bytes": "1048576",
            **settings,
        }
        self.config.write_text("".join(f"{k}: {v}\n" for k, v in lines.items()))
        self.log = self.folder / "offerd.log"
        self.process = None

    def launch(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([BIN / "offerd", "--config", self.config], stderr=log)

    def start(self):
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"offerd ended with {self.process.returncode}: {self.log.read_text()}")
            if b'"event":"ready"' in self.log.read_bytes():
                return
            time.sleep(0.02)
        raise RuntimeError(f"offerd is not ready: {self.log.read_text()}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        self.process = None
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        if self.process is not None:
            self.kill()

    def ctl(self, *arguments, check=True, parse=True):
        command = [BIN / "offerctl", "--server", f"127.0.0.1:{self.port}", *(["--json"] if parse else []), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stderr}\n{done.stdout}")
        if not check:
            return done
        return json.loads(done.stdout) if parse and done.stdout.strip() else done.stdout

    def status(self):
        return self.ctl("status")


class Folder:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="offerd-test-"))

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


POLICY = """
name: "learned"
linear {
  ridge: 1
  features {
    features { name: "constant" constant {} }
    features { name: "own" numeric { fact: "computed.own_offer_rate" } }
    features { name: "rate" numeric { fact: "computed.offer_rate" } }
    features { name: "given" numeric { fact: "candidate.given" } }
    features { name: "given_by_own" cross { left: "given" right: "own" } }
  }
}
"""

PLACEMENT = """
name: "home"
policy: "learned"
mode: LIVE
slate_size: 3
reward { weights { kind: PURCHASE weight: 1 } weights { kind: CLICK weight: 0.1 } aggregation: MAX }
matrix_share: 0.5
"""


def set_up_shop(server):
    """Policies, a placement, 30 items and 15 offers that cover two items each."""
    for name, text in (("policy", POLICY), ("placement", PLACEMENT)):
        path = server.folder / f"{name}.textproto"
        path.write_text(text)
    (server.folder / "random.textproto").write_text('name: "random" random { kind: UNIFORM }')
    (server.folder / "fixed.textproto").write_text('name: "fixed" fixed {}')
    server.ctl("policy", "set", server.folder / "random.textproto")
    server.ctl("policy", "set", server.folder / "fixed.textproto")
    server.ctl("policy", "set", server.folder / "policy.textproto")
    server.ctl("placement", "set", server.folder / "placement.textproto")
    items = server.folder / "items.csv"
    items.write_text("id,category,price\n" + "".join(f"item-{i},category-{i % 5},{1 + i}.50\n" for i in range(30)))
    server.ctl("import", "items", items, "--columns", "id=id,category=category,price=price")
    offers = server.folder / "offers.csv"
    offers.write_text("id,items\n" + "".join(f"offer-{i},item-{2 * i}|item-{2 * i + 1}\n" for i in range(15)))
    server.ctl("import", "offers", offers, "--columns", "id=id,items=items")
    return offers


def write_stream(path, visits, seed):
    """A seeded stream for `offerctl play`: every customer has favourite items."""
    import random

    rng = random.Random(seed)
    start = 1_500_000_000
    with open(path, "w") as out:
        for v in range(visits):
            customer = rng.randrange(40)
            favourites = [(customer * 7 + k) % 30 for k in range(4)]
            lines = sorted({rng.choice(favourites) if rng.random() < 0.7 else rng.randrange(30) for _ in range(3)})
            offers = rng.sample(range(15), 10)
            out.write(
                json.dumps(
                    {
                        "customer": f"customer-{customer}",
                        "order_id": f"order-{v}",
                        "time": start + v * 60,
                        "context": {"evening": v % 2},
                        "candidates": [{"id": f"offer-{o}", "features": {"given": o % 3}} for o in offers],
                        "lines": [{"item": f"item-{i}", "quantity": 1, "revenue": 1.5 + i} for i in lines],
                    }
                )
                + "\n"
            )
