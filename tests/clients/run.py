"""The clients of clients/, one language after the other, against the real server (and a scripted one for what the real one never
does). scripts/clients builds them and calls this with the languages."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import traceback
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/clients"
BIN = pathlib.Path(os.environ.get("OFFERD_BIN_DIR", ROOT / "build/release/bin")).resolve()
os.environ["OFFERD_BIN"] = os.environ["OFFERD_BIN_DIR"] = str(BIN)
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "clients/python/generated")]

import grpc  # noqa: E402

import fake_server  # noqa: E402
import support  # noqa: E402

PYTHON = BUILD / "python/bin/python"
JAVA = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{BUILD}/java/offerd-client.jar:{BUILD}/java/libs/*"]
PROGRAMS = {  # language: (example, driver)
    "python": ([PYTHON, ROOT / "clients/python/example.py"], [PYTHON, ROOT / "clients/python/driver.py"]),
    "cpp": ([BUILD / "cpp/example"], [BUILD / "cpp/driver"]),
    "go": ([BUILD / "go/example"], [BUILD / "go/driver"]),
    "typescript": (["node", ROOT / "clients/typescript/dist/example.js"], ["node", ROOT / "clients/typescript/dist/driver.js"]),
    "java": ([*JAVA, "offerd.client.Example"], [*JAVA, "offerd.client.Driver"]),
}
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT / 'clients/python'}:{ROOT / 'clients/python/generated'}",
    "LC_ALL": "C.UTF-8",  # by it Java reads its arguments
}
SLACK = 5  # seconds that a busy machine may add to a deadline before a test says that it was ignored
EVENTS = 300
TOKEN = "a-token-of-the-tests-only"


def run(command, *arguments):
    return subprocess.run([*map(str, command), *map(str, arguments)], capture_output=True, text=True, timeout=180, env=ENVIRONMENT)


def check(is_true, *what):
    if not is_true:
        raise AssertionError(" ".join(map(str, what)))


class Language:
    """One client and its server."""

    def __init__(self, name, server, tls_server):
        self.example, self.driver = PROGRAMS[name]
        self.name = name
        self.server = server
        self.address = f"127.0.0.1:{server.port}"
        self.tls_server = tls_server

    def drive(self, case, server=None, **options):
        arguments = [text for key, value in options.items() for text in (f"--{key.replace('_', '-')}", value)]
        done = run(self.driver, "--case", case, "--server", server or self.address, *arguments)
        check(done.returncode == 0 and done.stdout.strip(), f"driver ended with {done.returncode}:", done.stdout, done.stderr)
        check(TOKEN not in done.stdout + done.stderr, "the token was printed")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def status(self):
        """Of the server; a connection may fail in the moment after a restart."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.server.status()
            except RuntimeError:
                if time.monotonic() > deadline or self.server.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def requests(self, method, code):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.server.metrics_port}/metrics", timeout=10).read().decode()
        found = re.search(rf'^offerd_requests_total{{method="{method}",code="{code}"}} (\d+)', text, re.M)
        return int(found[1]) if found else 0

    def the_example_makes_a_visit(self):
        before = self.status()["events"]
        done = run(self.example, "--server", self.address)
        check(done.returncode == 0, done.stdout, done.stderr)
        check(re.search(r"^decision [0-9a-f]{32} by policy learned$", done.stdout, re.M), "no decision id:", done.stdout)
        slots = re.findall(r"^  \d\. (offer-\w+)  probability ([0-9.]+)  score -?[0-9.]+  [A-Z_]+$", done.stdout, re.M)
        check(len(slots) == 3 and len({offer for offer, _ in slots}) == 3, "expected three slots:", done.stdout)
        check(all(0 < float(probability) <= 1 for _, probability in slots), "probabilities:", done.stdout)
        check("feedback: 3 events sent, 3 acknowledged, 3 applied" in done.stdout, done.stdout)
        check(re.search(r"^goes with \w+: \w+, \w+", done.stdout, re.M), "no cross sell:", done.stdout)
        after = self.status()["events"]
        for count in ("acknowledged", "applied"):
            check(after[count] - before[count] == 3, f"server: {count}", before, after)
        return " | ".join(line.strip() for line in done.stdout.splitlines())

    def all_list_calls_answer(self):
        answer = self.drive("lists")
        check(answer["ok"], answer)
        names = ("cross_sell", "similar_items", "recommend_items", "recommend_next")
        check(all(answer[name] == 3 for name in names), answer)

    def the_same_request_id_gets_the_same_decision(self):
        before = self.status()["decisions"]
        first = self.drive("rank", request_id=f"{self.name}-page", times=2)
        second = self.drive("rank", request_id=f"{self.name}-page")
        other = self.drive("rank", times=2)  # ids made up by the client: two requests
        ids = first["decision_ids"] + second["decision_ids"]
        check(len(ids) == 3 and ids[0] and len(set(ids)) == 1, ids)
        check(len(set(other["decision_ids"] + ids)) == 3, other, ids)
        check(self.status()["decisions"] - before == 3, "decisions of the server")

    def offers_are_ranked_by_their_keys(self):
        strangers = {"größe": 0xb7450e1ef58140da, "a": 0xaf63dc4c8601ec8c, "foobar": 0x85944171f73967e8}  # the last two: the authors' own test vectors
        offers = ["offer-tea", "offer-coffee", *strangers, "offer-honey", "offer-bread", "offer-soap"]
        answer = self.drive("rank", compact=",".join(offers))
        check(answer["ok"] and answer["decision_ids"][0], answer)
        check([int(key) for key in answer["keys"][2:5]] == list(strangers.values()), "keys:", answer)
        check(answer["unknown"] == [2, 3, 4], "unknown:", answer)
        known = {0, 1, 5, 6, 7}  # that the server knows these proves their keys
        check(len(answer["packed"]) == 3 and len(set(answer["packed"])) == 3 and known.issuperset(answer["packed"]), "packed:", answer)

    def a_killed_and_a_restarted_server_lose_no_event_and_count_none_twice(self):
        before = self.status()["events"]
        command = [*self.driver, "--case", "feedback", "--server", self.address, "--events", EVENTS, "--prefix", f"kill-{self.name}",
                   "--pause-ms", 5, "--flush-seconds", 60]
        driver = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        try:
            for stop, events in ((self.server.kill, 50), (self.server.terminate, 150)):
                deadline = time.monotonic() + 60
                while self.status()["events"]["acknowledged"] - before["acknowledged"] < events:
                    check(time.monotonic() < deadline and driver.poll() is None, f"{events} events are not there")
                stop()
                time.sleep(0.5)  # some attempts to reconnect fail
                self.server.start()
            out, err = driver.communicate(timeout=120)
        finally:
            if driver.poll() is None:
                driver.kill()
                driver.wait()
            if self.server.process is None:
                self.server.start()
        answer = json.loads(out) if out.strip() else err
        after = self.status()["events"]
        check(answer["ok"] and answer["acknowledged"] == answer["sent"] == EVENTS, answer)
        check(answer["applied"] + answer["duplicate"] == EVENTS and answer["other"] == 0, answer)
        check(answer["reconnects"] >= 2, "the server was stopped too late:", answer)
        for count in ("acknowledged", "applied"):
            check(after[count] - before[count] == EVENTS, f"server: {count}", before, after, answer)
        return f"{EVENTS} events, {answer['reconnects']} reconnects, {answer['duplicate']} sent twice, each counted once"

    def a_wrong_value_is_told_at_once(self):
        before = self.requests("RankOffers", "INVALID_ARGUMENT")
        answer = self.drive("rank", slots=-1)
        check(not answer["ok"] and answer["code"] == "INVALID_ARGUMENT" and answer["attempts"] == 1, answer)
        check("slate_size" in answer["message"] and answer["fields"] == ["slate_size"], answer)
        check(self.requests("RankOffers", "INVALID_ARGUMENT") - before == 1, "expected one attempt at the server")
        return answer["message"]

    def an_unknown_placement_is_told_at_once(self):
        before = self.requests("RankOffers", "NOT_FOUND")
        answer = self.drive("rank", placement="nowhere")
        check(not answer["ok"] and answer["code"] == "NOT_FOUND" and answer["attempts"] == 1 and "nowhere" in answer["message"], answer)
        check(self.requests("RankOffers", "NOT_FOUND") - before == 1, "expected one attempt at the server")

    def a_server_that_is_not_there_is_given_up(self):
        nobody = f"127.0.0.1:{support.free_port()}"
        answer = self.drive("rank", nobody, timeout=30)
        check(not answer["ok"] and answer["code"] == "UNAVAILABLE" and answer["attempts"] == 5, answer)
        check(answer["seconds"] < 30 and nobody.split(":")[1] in answer["message"], answer)
        short = self.drive("rank", nobody, timeout=0.4)
        check(not short["ok"] and short["code"] in ("UNAVAILABLE", "DEADLINE_EXCEEDED") and 1 <= short["attempts"] < 5, short)
        check(short["seconds"] < 0.4 + SLACK, short)
        return answer["message"]

    def a_server_that_says_nothing_is_given_up(self):
        with fake_server.SilentServer() as server:
            answer = self.drive("rank", server.address, timeout=1)
        check(not answer["ok"] and answer["code"] in ("DEADLINE_EXCEEDED", "UNAVAILABLE"), answer)
        check(answer["seconds"] < 1 + SLACK, answer)

    def a_busy_server_is_asked_again_with_the_same_request_id(self):
        busy = (grpc.StatusCode.RESOURCE_EXHAUSTED, 0.7)  # longer than the client's own first pauses
        with fake_server.FakeServer(failures=[busy, (grpc.StatusCode.UNAVAILABLE, None), busy]) as server:
            answer = self.drive("rank", server.address)
            calls = server.calls
        check(answer["ok"] and answer["decision_ids"] == ["scripted"] and len(calls) == 4, answer, calls)
        check(calls[0][1] and len({request_id for _, request_id in calls}) == 1, "request ids:", calls)
        pauses = [after - before for (before, _), (after, _) in zip(calls, calls[1:])]
        check(pauses[0] >= 0.69 and pauses[2] >= 0.69, "RetryInfo asked for 0.7 s:", pauses)

    def a_pause_longer_than_the_deadline_is_not_waited_for(self):
        with fake_server.FakeServer(failures=[(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.999)]) as server:
            answer = self.drive("rank", server.address, timeout=0.9)
            check(len(server.calls) == 1, server.calls)
        check(not answer["ok"] and answer["code"] == "RESOURCE_EXHAUSTED" and "as scripted" in answer["message"], answer)

    def a_broken_stream_is_resent_in_order(self):
        def stream(number, batches, context):
            for count, batch in enumerate(batches, start=1):
                if number > 2:
                    yield fake_server.acknowledge(batch, duplicate=batch.client_sequence == 2)
                elif number == 2:  # what gRPC says for a server that shuts down
                    fake_server.abort(context, grpc.StatusCode.CANCELLED, "as scripted")
                elif count == 1:
                    yield fake_server.acknowledge(batch)
                elif count == 3:  # 2 and 3 are read, their acknowledgements never come
                    fake_server.abort(context, grpc.StatusCode.UNAVAILABLE, "as scripted")

        with fake_server.FakeServer(stream=stream) as server:
            answer = self.drive("feedback", server.address, events=10, prefix="order")
            read = server.read
        check(answer["ok"] and answer["acknowledged"] == 10 and answer["duplicate"] == 1 and answer["applied"] == 9, answer)
        check(answer["reconnects"] == 2 and len(read) == 3 and read[1][0] == 2 and read[2] == list(range(2, 11)), "resent:", read, answer)

    def a_stream_without_answers_is_opened_again(self):
        def stream(number, batches, context):
            for batch in batches:
                if number > 1:
                    yield fake_server.acknowledge(batch)

        with fake_server.FakeServer(stream=stream) as server:
            answer = self.drive("feedback", server.address, events=3, prefix="stall", ack_timeout=0.5)
            check(answer["ok"] and answer["acknowledged"] == 3 and answer["reconnects"] >= 1, answer)
            check(server.read[-1] == [1, 2, 3], server.read)

    def a_refused_stream_ends_at_once(self):
        def stream(number, batches, context):
            next(batches)
            fake_server.abort(context, grpc.StatusCode.INVALID_ARGUMENT, "as scripted")
            yield

        with fake_server.FakeServer(stream=stream) as server:
            answer = self.drive("feedback", server.address, events=2, prefix="refused")
            check(len(server.read) == 1, server.read)
        check(not answer["ok"] and answer["code"] == "INVALID_ARGUMENT" and "as scripted" in answer["message"], answer)

    def a_full_buffer_says_so(self):
        nobody = f"127.0.0.1:{support.free_port()}"
        answer = self.drive("feedback", nobody, events=6, prefix="full", max_unacknowledged=5)
        check(not answer["ok"] and answer["code"] == "BUFFER_FULL" and answer["sent"] == 5 and answer["unacknowledged"] == 5, answer)
        check("5 batches wait" in answer["message"], answer)
        waited = self.drive("feedback", nobody, events=2, prefix="full", flush_seconds=1)
        check(not waited["ok"] and waited["code"] == "DEADLINE_EXCEEDED" and "2 batches not acknowledged" in waited["message"], waited)
        return answer["message"]

    def tokens_and_certificates_are_used(self):
        tls = self.tls_server
        files = dict(tls_ca=tls.folder / "ca.crt", tls_cert=tls.folder / "client.crt", tls_key=tls.folder / "client.key")
        address = f"127.0.0.1:{tls.port}"
        answer = self.drive("rank", address, token_file=tls.folder / "token", **files)
        check(answer["ok"] and answer["decision_ids"][0], answer)
        events = self.drive("feedback", address, token_file=tls.folder / "token", events=2, prefix=f"tls-{self.name}", **files)
        check(events["ok"] and events["applied"] == 2, events)
        nobody = self.drive("rank", address, **files)
        check(not nobody["ok"] and nobody["code"] == "UNAUTHENTICATED" and nobody["attempts"] == 1, nobody)
        stranger = self.drive("rank", address, token_file=tls.folder / "token", tls_ca=tls.folder / "ca.crt", timeout=5)
        check(not stranger["ok"] and stranger["code"] in ("UNAVAILABLE", "DEADLINE_EXCEEDED"), stranger)

    CASES = [
        the_example_makes_a_visit,
        all_list_calls_answer,
        the_same_request_id_gets_the_same_decision,
        offers_are_ranked_by_their_keys,
        a_killed_and_a_restarted_server_lose_no_event_and_count_none_twice,
        a_wrong_value_is_told_at_once,
        an_unknown_placement_is_told_at_once,
        a_server_that_is_not_there_is_given_up,
        a_server_that_says_nothing_is_given_up,
        a_busy_server_is_asked_again_with_the_same_request_id,
        a_pause_longer_than_the_deadline_is_not_waited_for,
        a_broken_stream_is_resent_in_order,
        a_stream_without_answers_is_opened_again,
        a_refused_stream_ends_at_once,
        a_full_buffer_says_so,
        tokens_and_certificates_are_used,
    ]


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-days", 2, "-keyout", folder / "ca.key", "-out", folder / "ca.crt", "-subj", "/CN=Test authority")
    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial",
                "-days", 2, "-extfile", folder / "san", "-out", folder / f"{name}.crt")


def start_shop(folder, **settings):
    server = support.Server(folder, **settings).start()
    options = ["--server", f"127.0.0.1:{server.port}"]
    if settings:
        options += ["--token-file", folder / "token", "--tls-ca", folder / "ca.crt", "--tls-cert", folder / "client.crt", "--tls-key", folder / "client.key"]
    done = run([ROOT / "clients/shop"], *options)
    check(done.returncode == 0, "clients/shop:", done.stdout, done.stderr)
    return server


def start_tls_shop(folder):
    make_certificates(folder)
    (folder / "token").write_text(TOKEN + "\n")
    tls = f'{{ certificate_file: "{folder}/server.crt" key_file: "{folder}/server.key" client_ca_file: "{folder}/ca.crt" }}'
    return start_shop(folder, tls=tls, tokens=f'{{ role: ADMIN token_file: "{folder}/token" }}')


def test(language, case):
    begin = time.monotonic()
    title = case.__name__.replace("_", " ")
    try:
        said = case(language)
    except Exception:
        print(f"FAIL  {language.name}: {title}\n{traceback.format_exc()}", flush=True)
        return False
    print(f"ok    {language.name}: {title} ({time.monotonic() - begin:.1f} s)" + (f"\n        {said}" if said else ""), flush=True)
    return True


def main():
    names = sys.argv[1:] or list(PROGRAMS)
    passed = failed = 0
    folders = [support.Folder() for _ in range(len(names) + 1)]
    servers = []
    try:
        servers.append(start_tls_shop(folders[0].path))
        for name, folder in zip(names, folders[1:]):
            servers.append(start_shop(folder.path))
            language = Language(name, servers[-1], servers[0])
            results = [test(language, case) for case in Language.CASES]
            passed += sum(results)
            failed += len(results) - sum(results)
    finally:
        for server in servers:
            server.close()
        for folder in folders:
            folder.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
