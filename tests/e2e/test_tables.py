"""Tables from a CSV file to the cart service: built, published, damaged, rolled back, while carts are asked about all the time."""

import pathlib
import random
import threading
import time
import unittest

import support

PLACEMENT = """
name: "cart"
slate_size: 5
lists { strategies { kind: NEIGHBOURS table: "together" } fallbacks { kind: POPULAR } }
"""


class TablesTest(unittest.TestCase):
    def setUp(self):
        self.folder = support.Folder()
        support.generate_stubs(self.folder.path)
        import grpc
        from offerd.v1 import lists_pb2, offer_service_pb2_grpc

        self.grpc, self.lists_pb = grpc, lists_pb2
        self.server = support.Server(self.folder.path, tables_path=f'"{self.folder.path}/tables"').start()
        support.set_up_shop(self.server)
        placement = self.folder.path / "cart.textproto"
        placement.write_text(PLACEMENT)
        self.server.ctl("placement", "set", placement)
        self.stub = offer_service_pb2_grpc.OfferServiceStub
        self.channel = None
        self.connect()

    def connect(self):
        if self.channel is not None:
            self.channel.close()
        self.channel = self.grpc.insecure_channel(f"127.0.0.1:{self.server.port}")
        self.offers = self.stub(self.channel)

    def tearDown(self):
        self.channel.close()
        self.server.close()
        self.folder.close()

    def build(self, kind, seed):
        """A table of random baskets; its version."""
        rng = random.Random(seed)
        baskets = self.folder.path / f"baskets{seed}.csv"
        lines = [f"{b},item-{i}\n" for b in range(400) for i in sorted({(b * 3 + rng.randrange(6)) % 30 for _ in range(4)})]
        baskets.write_text("basket,item\n" + "".join(lines))
        self.server.ctl("build", "together", "--input", baskets, "--columns", "basket=basket,item=item", "--kind", kind, "--tables",
                        self.folder.path / "tables")
        return max(int(p.name) for p in (self.folder.path / "tables" / "together").iterdir() if p.name.isdigit())

    def cross_sell(self):
        request = self.lists_pb.CrossSellRequest(placement="cart", cart=[self.lists_pb.CartLine(item_id="item-3")])
        return self.offers.CrossSell(request, timeout=10)

    def damage(self, version):
        for path in sorted((self.folder.path / "tables" / "together" / str(version)).iterdir()):
            if path.suffix != ".json" and path.stat().st_size > 0:
                bytes_ = bytearray(path.read_bytes())
                bytes_[0] ^= 1
                path.write_bytes(bytes_)

    def test_no_request_fails_while_tables_come_are_refused_and_go_back(self):
        first = self.build("cosine", 1)
        self.server.ctl("table", "publish", "together")
        answers, failures, stop = [], [], threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    answer = self.cross_sell()
                    answers.append((answer.tables[0].version, tuple(entry.item_id for entry in answer.entries)))
                except self.grpc.RpcError as error:
                    failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            for round_ in range(3):
                second = self.build("jaccard", 10 + round_)
                self.server.ctl("table", "publish", "together")
                third = self.build("cosine", 20 + round_)
                self.damage(third)
                refused = self.server.ctl("table", "publish", "together", third, check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("refused", refused.stderr)
                rolled_back = self.server.ctl("table", "rollback", "together")
                self.assertEqual(int(rolled_back["version"]), first)
                self.assertIn(second, [int(v) for v in rolled_back["available_versions"]])
        finally:
            seconds = time.monotonic() - began
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        print(f"{len(answers)} carts in {seconds:.1f} s, {len(answers) / seconds:.0f} a second, none failed")
        versions = {version for version, _ in answers}
        self.assertGreater(len(versions), 1)
        self.assertNotIn(third, versions, "a damaged table answered")
        by_version = {}
        for version, items in answers:
            by_version.setdefault(version, set()).add(items)
        for version, lists in by_version.items():
            self.assertEqual(len(lists), 1, f"version {version} gave several lists for one cart")

    def test_after_a_restart_the_same_table_answers(self):
        self.build("llr", 3)
        self.server.ctl("table", "publish", "together")
        before = self.cross_sell()
        self.server.kill()
        self.server.start()
        self.connect()
        after = self.cross_sell()
        self.assertEqual([(e.item_id, e.score) for e in before.entries], [(e.item_id, e.score) for e in after.entries])
        listed = self.server.ctl("table", "list")["tables"]
        self.assertTrue(listed[0]["is_loaded"])
        self.assertTrue(pathlib.Path(self.folder.path / "tables" / "together").is_dir())


if __name__ == "__main__":
    unittest.main()
