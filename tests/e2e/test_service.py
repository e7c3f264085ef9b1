"""The service from outside: reflection, health, errors, idempotency, restart, metrics, refusals to start."""

import subprocess
import time
import unittest
import urllib.request

import support


class ServiceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = support.Folder()
        support.generate_stubs(cls.folder.path)
        import grpc
        from offerd.v1 import admin_service_pb2, customer_service_pb2, feedback_service_pb2, offer_service_pb2
        from offerd.v1 import customer_service_pb2_grpc, feedback_service_pb2_grpc, offer_service_pb2_grpc

        cls.grpc, cls.offer_pb, cls.feedback_pb = grpc, offer_service_pb2, feedback_service_pb2
        cls.customer_pb, cls.admin_pb = customer_service_pb2, admin_service_pb2
        cls.server = support.Server(cls.folder.path).start()
        support.set_up_shop(cls.server)
        cls.channel = grpc.insecure_channel(f"127.0.0.1:{cls.server.port}")
        cls.offers = offer_service_pb2_grpc.OfferServiceStub(cls.channel)
        cls.feedback = feedback_service_pb2_grpc.FeedbackServiceStub(cls.channel)
        cls.customers = customer_service_pb2_grpc.CustomerServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.server.close()
        cls.folder.close()

    def rank(self, **fields):
        return self.offers.RankOffers(self.offer_pb.RankOffersRequest(placement="home", **fields), wait_for_ready=True)

    def send(self, **fields):
        event = self.feedback_pb.Event(**fields)
        return self.feedback.SendFeedback(self.feedback_pb.SendFeedbackRequest(events=[event])).results[0]

    def test_reflection_lists_the_services_and_a_call_by_it_answers(self):
        from google.protobuf.descriptor_pool import DescriptorPool
        from google.protobuf.message_factory import GetMessageClass
        from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

        database = ProtoReflectionDescriptorDatabase(self.channel)
        services = set(database.get_services())
        self.assertLessEqual(
            {"offerd.v1.OfferService", "offerd.v1.FeedbackService", "offerd.v1.CatalogService", "offerd.v1.CustomerService",
             "offerd.v1.AdminService", "grpc.health.v1.Health"},
            services,
        )
        pool = DescriptorPool(database)
        method = pool.FindServiceByName("offerd.v1.AdminService").FindMethodByName("GetLimits")
        request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = self.channel.unary_unary("/offerd.v1.AdminService/GetLimits", request.SerializeToString, answer.FromString)
        self.assertEqual(call(request()).max_candidates, 1000)

    def test_a_unix_socket_beside_tcp(self):
        folder = support.Folder()
        self.addCleanup(folder.close)
        path = folder.path / "offerd.sock"
        server = support.Server(folder.path, unix_socket=f'"{path}"').start()
        self.addCleanup(server.close)
        support.set_up_shop(server)
        command = [support.BIN / "offerctl", "--server", f"unix:{path}", "rank", "--placement", "home", "--customer", "c"]
        self.assertIn("decision ", subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        self.assertEqual(path.stat().st_mode & 0o777, 0o660)
        (folder.path / "second").mkdir()
        second = support.Server(folder.path / "second", unix_socket=f'"{path}"')
        second.launch()
        self.assertEqual(second.process.wait(timeout=60), 1)
        self.assertIn("another server answers there", second.log.read_text())
        self.assertFalse(second.store.exists(), "a start that cannot succeed changes nothing")
        server.kill()
        self.assertTrue(path.is_socket(), "left behind")
        server.start()
        subprocess.run(command, check=True, capture_output=True)
        self.assertEqual(server.terminate(), 0)
        self.assertFalse(path.exists())

    def test_a_repeated_request_gets_the_same_list_and_counts_once(self):
        decisions = self.server.status()["decisions"]
        first = self.rank(request_id="repeat-1", customer_id="c")
        again = self.rank(request_id="repeat-1", customer_id="c")
        self.assertEqual(list(first.slots), list(again.slots))
        self.assertEqual(first.decision_id, again.decision_id)
        self.assertIn(self.offer_pb.RankOffersResponse.REPEATED, again.notes)
        self.assertEqual(self.server.status()["decisions"], decisions + 1)
        with self.assertRaises(self.grpc.RpcError) as raised:
            self.rank(request_id="repeat-1", customer_id="another")
        self.assertEqual(raised.exception.code(), self.grpc.StatusCode.ALREADY_EXISTS)

    def test_wrong_values_are_named_by_their_field_path(self):
        from google.rpc import error_pb2

        request = self.offer_pb.RankOffersRequest(placement="home")
        request.candidates.add(offer_id="x").features.add(name="f", number=float("nan"))
        with self.assertRaises(self.grpc.RpcError) as raised:
            self.offers.RankOffers(request)
        self.assertEqual(raised.exception.code(), self.grpc.StatusCode.INVALID_ARGUMENT)
        details = dict(raised.exception.trailing_metadata())["grpc-status-details-bin"]
        bad = error_pb2.BadRequest()
        error_pb2.Status.FromString(details).details[0].Unpack(bad)
        self.assertEqual(bad.field_violations[0].field, "candidates[0].features[0].number")

    def test_events_count_once_and_say_what_became_of_them(self):
        pb = self.feedback_pb
        decision = self.rank(request_id="events-1", customer_id="buyer")
        shown = int(decision.slots[0].offer_id.split("-")[1])
        line = [pb.EventLine(item_id=f"item-{2 * shown}", quantity=1, revenue_micros=1_500_000)]
        fields = dict(event_id="e1", kind=4, customer_id="buyer", decision_id=decision.decision_id, order_id="o1", lines=line)
        self.assertEqual(self.send(**fields).fate, pb.APPLIED)
        self.assertEqual(self.send(**fields).fate, pb.DUPLICATE)
        orphan = self.send(event_id="e2", kind=2, decision_id="0" * 32, offer_id="offer-1")
        self.assertEqual(orphan.fate, pb.ORPHAN)
        refused = self.send(event_id="e3", kind=4, currency="XYZ")
        self.assertEqual((refused.fate, refused.status.code), (pb.REFUSED, 3))
        profile = self.customers.GetCustomer(self.customer_pb.GetCustomerRequest(customer_id="buyer"))
        self.assertEqual(profile.visits, 1)
        self.assertIn(f"offer-{shown}", [offer.name for offer in profile.offers])

    def test_deferred_slots_count_only_when_activated(self):
        before = {p["name"]: p["shown"] for p in self.server.status()["policies"]}["learned"]
        decision = self.rank(request_id="deferred-1", defer_activation=True)
        self.server.status()
        activate = lambda: self.offers.Activate(self.offer_pb.ActivateRequest(decision_id=decision.decision_id, slots=[0, 2]))
        answer = activate()
        self.assertEqual((answer.activated, answer.already_active), (2, 0))
        answer = activate()
        self.assertEqual((answer.activated, answer.already_active), (0, 2))
        after = {p["name"]: p["shown"] for p in self.server.status()["policies"]}["learned"]
        self.assertEqual(after - before, 2)

    def test_a_caller_with_its_own_catalogue_ranks_by_inline_features(self):
        request = self.offer_pb.RankOffersRequest(placement="home", request_id="own-1", validate_only=True)
        for name in ("a", "b", "c", "d"):
            request.candidates.add(offer_id=name).features.add(name="given", number=ord(name) - 97)
        answer = self.offers.RankOffers(request)
        self.assertEqual(len(answer.slots), 3)
        self.assertEqual(set(answer.unknown_offers), {"a", "b", "c", "d"})
        self.assertEqual(answer.decision_id, "")

    def test_metrics_pass_promtool_and_prometheus_scrapes_them(self):
        self.rank(request_id="metrics-1")
        url = f"http://127.0.0.1:{self.server.metrics_port}/metrics"
        text = urllib.request.urlopen(url).read()
        self.assertIn(b"offerd_gate_leaks_total 0", text)
        subprocess.run(["promtool", "check", "metrics"], input=text, check=True, capture_output=True)
        config = self.folder.path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: offerd\n  static_configs:\n"
            f"  - targets: ['127.0.0.1:{self.server.metrics_port}']\n"
        )
        port = support.free_port()
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder.path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 60
            found = b""
            while b'"value"' not in found and time.monotonic() < deadline:
                time.sleep(0.2)
                try:
                    found = urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=offerd_last_sequence").read()
                except OSError:
                    pass
            self.assertIn(b'"value"', found)
        finally:
            prometheus.terminate()
            prometheus.wait()


class LifecycleTest(unittest.TestCase):
    def setUp(self):
        self.folder = support.Folder()
        self.addCleanup(self.folder.close)

    def test_sigterm_exits_0_and_a_restart_is_the_same_state_and_answers_repeats(self):
        server = support.Server(self.folder.path, clock="REQUEST").start()
        self.addCleanup(server.close)
        offers = support.set_up_shop(server)
        stream = self.folder.path / "stream.jsonl"
        support.write_stream(stream, 120, 1)
        play = ["play", "--stream", stream, "--placement", "home", "--slots", "3", "--offer-items", offers, "--offer-items-columns", "id=id,items=items"]
        server.ctl(*play, parse=False)
        before = server.status()
        self.assertEqual(server.terminate(), 0)
        server.start()
        after = server.status()
        for key in ("decisions", "customers", "items", "offers", "open_decisions"):
            self.assertEqual(before.get(key), after.get(key), key)
        checksums = lambda status: {p["name"]: p["state_checksum"] for p in status["policies"]}
        self.assertEqual(checksums(before), checksums(after))
        server.ctl(*play, parse=False)  # the same visits again: repeats and duplicates
        again = server.status()
        self.assertEqual(again["events"]["acknowledged"], before["events"]["acknowledged"])
        self.assertEqual(again["events"]["duplicate"], 120)
        self.assertEqual(checksums(before), checksums(again))

    def refuses(self, text, **settings):
        server = support.Server(self.folder.path, **settings)
        done = subprocess.run([support.BIN / "offerd", "--config", server.config], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(text, done.stderr)
        return done

    def test_a_bad_config_names_every_problem(self):
        done = self.refuses("max_in_flight", max_in_flight="-1", snapshots_kept="1000")
        self.assertIn("snapshots_kept", done.stderr)
        self.assertFalse((self.folder.path / "store").exists())

    def test_a_locked_store_and_a_taken_port_are_refused(self):
        server = support.Server(self.folder.path).start()
        self.addCleanup(server.close)
        done = subprocess.run([support.BIN / "offerd", "--config", server.config], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("not_started", done.stderr)
        other = self.folder.path / "other"
        other.mkdir()
        for taken in ({"listen": f'"127.0.0.1:{server.port}"'}, {"metrics_listen": f'"127.0.0.1:{server.metrics_port}"'}):
            second = support.Server(other, **taken)
            done = subprocess.run([support.BIN / "offerd", "--config", second.config], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            for field, address in taken.items():
                self.assertIn(field, done.stderr)
                self.assertIn(address.strip('"'), done.stderr)
            self.assertFalse(second.store.exists(), "a start that cannot succeed changes nothing")
        # Free ports, and the store of the first.
        third = support.Server(other, store_path=f'"{server.store}"')
        done = subprocess.run([support.BIN / "offerd", "--config", third.config], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("locked", done.stderr)

    def test_a_snapshot_is_created_verified_and_listed(self):
        server = support.Server(self.folder.path).start()
        self.addCleanup(server.close)
        support.set_up_shop(server)
        server.ctl("snapshot", "create")
        server.ctl("snapshot", "verify")
        self.assertEqual(server.ctl("snapshot", "list")["snapshots"][0]["state"], "sound")

    def test_an_erased_customer_is_gone_from_profile_log_and_snapshots(self):
        server = support.Server(self.folder.path, clock="REQUEST").start()
        self.addCleanup(server.close)
        offers = support.set_up_shop(server)
        stream = self.folder.path / "stream.jsonl"
        support.write_stream(stream, 60, 2)
        server.ctl("play", "--stream", stream, "--placement", "home", "--slots", "3", "--offer-items", offers,
                   "--offer-items-columns", "id=id,items=items", parse=False)
        server.ctl("snapshot", "create")
        support.generate_stubs(self.folder.path)
        import grpc
        from offerd.v1 import customer_service_pb2, customer_service_pb2_grpc

        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = customer_service_pb2_grpc.CustomerServiceStub(channel)
            stub.EraseCustomer(customer_service_pb2.EraseCustomerRequest(customer_id="customer-7"))
            with self.assertRaises(grpc.RpcError) as raised:
                stub.GetCustomer(customer_service_pb2.GetCustomerRequest(customer_id="customer-7"))
            self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)
        deadline = time.monotonic() + 60
        while server.status().get("erasures_pending", 0) and time.monotonic() < deadline:
            time.sleep(0.05)
        before = server.status()
        server.kill()
        server.start()
        after = server.status()
        self.assertEqual([p["state_checksum"] for p in before["policies"]], [p["state_checksum"] for p in after["policies"]])
        self.assertEqual(before["customers"], after["customers"])
        server.kill()
        replay = server.ctl("replay", "--store", server.store)
        self.assertEqual(replay["differences"], 0, replay)


if __name__ == "__main__":
    unittest.main()
