"""kill -9 at twenty random moments of live traffic: nothing acknowledged is missing or counted twice, and the state is that of
an uninterrupted fold of the same log."""

import json
import random
import subprocess
import time
import unittest

import support

VISITS = 8000
KILLS = 20


class CrashTest(unittest.TestCase):
    def test_twenty_kills_lose_nothing_and_count_nothing_twice(self):
        seed = random.SystemRandom().randrange(1 << 30)
        print(f"seed {seed}")
        rng = random.Random(seed)
        folder = support.Folder()
        self.addCleanup(folder.close)
        server = support.Server(folder.path, clock="REQUEST", snapshot_interval_seconds="2", snapshots_kept="3").start()
        self.addCleanup(server.close)
        offers = support.set_up_shop(server)
        stream = folder.path / "stream.jsonl"
        support.write_stream(stream, VISITS, seed)
        summary = folder.path / "summary.json"
        player_log = open(folder.path / "player.log", "w")
        self.addCleanup(player_log.close)
        player = subprocess.Popen(
            [
                support.BIN / "offerctl", "--server", f"127.0.0.1:{server.port}", "play", "--stream", stream, "--placement", "home",
                "--compare", "fixed,random", "--slots", "3", "--offer-items", offers, "--offer-items-columns", "id=id,items=items",
                "--retry", "120", "--output", summary,
            ],
            stdout=subprocess.DEVNULL,
            stderr=player_log,
        )
        kills = 0
        while player.poll() is None and kills < KILLS:
            time.sleep(rng.uniform(0.02, 0.2))
            if player.poll() is not None:
                break
            server.kill()
            kills += 1
            server.launch()  # the player goes on while it recovers
            server.wait_ready()
        self.assertEqual(player.wait(timeout=900), 0, (folder.path / "player.log").read_text())
        print(f"{kills} kills while {VISITS} visits were played")
        self.assertEqual(kills, KILLS, "the traffic ended before the kills did: more visits are needed")

        result = json.loads(summary.read_text())
        self.assertEqual(result["events"]["acknowledged"], VISITS)
        status = server.status()
        self.assertEqual(status["events"]["acknowledged"], VISITS)  # every acknowledged event is there, once
        self.assertEqual(status["gate_leaks"], 0)
        before = {p["name"]: p["state_checksum"] for p in status["policies"]}

        server.kill()  # once more: what the status said is on disk
        replay = json.loads(
            subprocess.run([support.BIN / "offerctl", "--json", "replay", "--store", server.store], capture_output=True, text=True, check=True).stdout
        )
        self.assertEqual(replay["differences"], 0, replay)
        self.assertGreater(replay["decisions"], 0)
        for policy in replay["policies"]:
            self.assertEqual(policy["state_checksum"], before[policy["name"]])

        server.start()
        again = server.status()
        self.assertEqual({p["name"]: p["state_checksum"] for p in again["policies"]}, before)
        self.assertEqual(server.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
