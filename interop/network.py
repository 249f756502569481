#!/usr/bin/env python3
"""A network of strangers as ten people type it: a chain, a creator, a provider, trainers of whom the last lies, auditors and evaluators, each a
process of its own with a key and a folder of its own. On a real validator, with the program deployed by its loader; or each in a network
namespace of its own, behind a line of its own; or both.

    interop/network.py --validator solana-test-validator      # on a validator, on this machine's own network
    interop/network.py --namespaces --megabits 20 --rounds 12 # on `sip localnet`, everyone behind a line of 20 Mbit/s (as root)

The binary is that of SIP_BINARY, or target/release/sip. It fails where the liar is not convicted, somebody else is, `sip verify` of a
stranger that knows nothing but the chain finds another last base, or `sip job export` another model. What was begun is ended in every case.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict, namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOL = 1_000_000_000
PROGRAM = json.loads((HERE.parent / "idl/sip.json").read_text())["program"]["publicKey"]
LIAR = "trainer-3"
BOND = 20_000
ROLES = {
    "creator": "keeper,turner",
    "provider": "provider",
    "trainer": "trainer,turner",
    "auditor": "auditor,watchtower,turner",
    "evaluator": "evaluator",
}
Held = namedtuple("Held", "slot seconds rent")


def words():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--validator", metavar="PATH", help="a solana-test-validator, in place of sip localnet")
    parser.add_argument("--namespaces", action="store_true", help="a network namespace for each person and the chain")
    parser.add_argument("--megabits", type=int, default=100, help="of each line, a second, both ways [default: 100]")
    parser.add_argument("--rounds", type=int, default=3, help="[default: 3]")
    parser.add_argument("--steps", type=int, default=12, help="of each trainer in each round [default: 12]")
    parser.add_argument("--model", default="tiny", help="[default: tiny]")
    parser.add_argument("--slot-ms", type=int, default=20, help="of sip localnet; a validator's last 400 [default: 20]")
    parser.add_argument("--phase-slots", type=int, help="[default: 15 seconds of sip localnet, 300 of a validator]")
    parser.add_argument("--minutes", type=int, default=60, help="after which it is given up [default: 60]")
    parser.add_argument("--keep", metavar="FOLDER", help="keep all of it there; else it is removed at the end")
    return parser.parse_args()


class Lines:
    """A bridge in a namespace of its own, and namespaces with a line to it; nothing of it is in the machine's own network, so that removing the
    namespaces removes all."""

    def __init__(self, megabits):
        self.megabits, self.names, self.prefix = megabits, {}, f"sip{os.getpid()}"
        self.switch = f"{self.prefix}-switch"

    def run(self, *command):
        subprocess.run(command, check=True, capture_output=True)

    def begin(self):
        self.run("ip", "netns", "add", self.switch)
        for words in (["add", "bridge", "type", "bridge"], ["set", "bridge", "up"]):
            self.run("ip", "-n", self.switch, "link", *words)

    def add(self, name):
        """A namespace; gives its address."""
        space, number = f"{self.prefix}-{name}", len(self.names) + 10
        self.run("ip", "netns", "add", space)
        self.names[name] = space
        port = f"port{number}"
        self.run("ip", "-n", self.switch, "link", "add", port, "type", "veth", "peer", "name", "line", "netns", space)
        self.run("ip", "-n", self.switch, "link", "set", port, "master", "bridge", "up")
        self.run("ip", "-n", space, "addr", "add", f"10.83.0.{number}/24", "dev", "line")
        for device in ("lo", "line"):
            self.run("ip", "-n", space, "link", "set", device, "up")
        shape = ["root", "tbf", "rate", f"{self.megabits}mbit", "burst", "64kb", "latency", "200ms"]
        self.run("tc", "-n", space, "qdisc", "add", "dev", "line", *shape)
        self.run("tc", "-n", self.switch, "qdisc", "add", "dev", port, *shape)
        return f"10.83.0.{number}"

    def within(self, name):
        return ["ip", "netns", "exec", self.names[name]]

    def sent(self):
        """Bytes that everybody's line carried, out and in."""
        total = {}
        for name in self.names:
            text = subprocess.run([*self.within(name), "cat", "/proc/net/dev"], capture_output=True, text=True).stdout
            fields = next((line.split() for line in text.splitlines() if line.strip().startswith("line:")), None)
            if fields:
                total[name] = (int(fields[9]), int(fields[1]))
        return total

    def end(self):
        for space in [*self.names.values(), self.switch]:
            subprocess.run(["ip", "netns", "del", space], capture_output=True)


class Network:
    def __init__(self, words, folder):
        self.words, self.folder, self.processes = words, folder, {}
        built = HERE.parent / "target/release/sip"
        self.sip = str(Path(os.environ.get("SIP_BINARY", built)).resolve())
        self.lines = Lines(words.megabits) if words.namespaces else None
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("SIP_")}
        self.environment |= {"SIP_THREADS": "1"}
        self.addresses, self.begun, self.slot_seconds = {}, time.monotonic(), None
        names = ["creator", "provider", "trainer-1", "trainer-2", LIAR, "auditor-1", "auditor-2"]
        self.people = [*names, "evaluator-1", "evaluator-2", "evaluator-3"]
        self.wallets, self.pools, self.program, self.job = {}, {}, None, None

    # -- the machine

    def tell(self, line):
        seconds = int(time.monotonic() - self.begun)
        print(f"{seconds // 60:3}:{seconds % 60:02}  {line}", flush=True)

    def within(self, name):
        return self.lines.within(name) if self.lines else []

    def home(self, name):
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def of(self, name):
        """The environment of somebody."""
        home = self.home(name)
        own = {"SIP_URL": self.url, "SIP_NAMES": str(home / "names.json")}
        if name != "reader":
            own["SIP_KEY"] = str(home / "key.json")
        return self.environment | own | ({"SIP_PROGRAM": self.program} if self.program else {})

    def start(self, name, command, log):
        with open(log, "ab") as out:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, "start_new_session": True}
            command = [*self.within(name), *command]
            self.processes[name] = subprocess.Popen(command, cwd=self.home(name), env=self.of(name), **options)

    def type(self, name, *command, expect=(0,)):
        """What somebody types; gives the objects that were printed."""
        line = [*self.within(name), self.sip, *command, "--json"]
        done = subprocess.run(line, cwd=self.home(name), env=self.of(name), capture_output=True, text=True)
        if done.returncode not in expect:
            raise SystemExit(f"{name}: sip {' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        try:
            return [json.loads(done.stdout)]
        except json.JSONDecodeError:
            return [json.loads(line) for line in done.stdout.splitlines()]

    def rpc(self, method, *parameters):
        """An answer of the chain, asked from the machine of the creator."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        if self.lines:
            program = (
                "import sys,urllib.request as u;"
                "r=u.Request(sys.argv[1],sys.argv[2].encode(),{'content-type':'application/json'});"
                "sys.stdout.write(u.urlopen(r,timeout=20).read().decode())"
            )
            command = [*self.within("creator"), sys.executable, "-c", program, self.url, body]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        else:
            request = urllib.request.Request(self.url, body.encode(), {"content-type": "application/json"})
            text = urllib.request.urlopen(request, timeout=20).read()
        answer = json.loads(text)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def end(self):
        # The chain last: the others say goodbye to it.
        for name in [*[name for name in self.processes if name != "chain"], "chain"]:
            process = self.processes.get(name)
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM if name != "chain" else signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(20)
        if self.lines:
            self.lines.end()

    # -- the beginning

    def begin(self):
        if self.lines:
            self.lines.begin()
        for name in ["chain", *self.people, "reader"]:
            self.addresses[name] = self.lines.add(name) if self.lines else "127.0.0.1"
        self.url = f"http://{self.addresses['chain']}:18899"
        for name in self.people:
            self.type(name, "wallet", "new", "key.json")
            self.wallets[name] = self.type(name, "wallet", "address")[0]["address"]
        self.chain()
        for name in self.people:
            self.type(name, "wallet", "airdrop", "100")
        if self.words.validator:
            self.deploy()
        self.protocol()
        self.make_job()
        self.seats()

    def chain(self):
        host, home = self.addresses["chain"], self.home("chain")
        if self.words.validator:
            path = str(Path(self.words.validator).resolve())
            command = [path, "--ledger", str(home / "ledger"), "--rpc-port", "18899", "--faucet-port", "19900", "--quiet"]
            command += ["--bind-address", host, "--gossip-port", "18001", "--dynamic-port-range", "18010-18100"]
        else:
            command = [self.sip, "localnet", "--data", "chain", "--host", host, "--port", "18899", "--json"]
            command += ["--slot-ms", str(self.words.slot_ms), "--authority", self.wallets["creator"]]
        self.start("chain", command, home / "log")
        self.wait(lambda: self.rpc("getSlot", {"commitment": "finalized"}) > 0, 120, "the chain does not answer")
        version = self.rpc("getVersion")["solana-core"]
        self.tell(f"{'solana-test-validator' if self.words.validator else 'sip localnet'} {version} answers at {self.url}")

    def wait(self, is_so, seconds, otherwise):
        by = time.monotonic() + seconds
        while time.monotonic() < by:
            try:
                if is_so():
                    return
            except (OSError, RuntimeError, subprocess.CalledProcessError):
                pass
            time.sleep(0.5)
        raise SystemExit(otherwise)

    def deploy(self):
        before = self.lamports("creator")
        begun = time.monotonic()
        made = self.type("creator", "protocol", "deploy", "--yes")[-1]
        self.program = made["program"]
        cost = (before - self.lamports("creator")) / SOL
        self.tell(f"the program is deployed at {self.program}: {time.monotonic() - begun:.0f} seconds, {cost:.6f} SOL")

    def protocol(self):
        home = self.home("creator")
        (home / "parameters.toml").write_text('[parameters]\nactivation-slots = "100"\n')
        self.type("creator", "protocol", "init", "--parameters", "parameters.toml", "--yes")
        for name in ("creator", "provider"):
            self.distribute(name, 10_000)

    def distribute(self, name, tokens):
        self.type("creator", "protocol", "distribute", self.wallets[name], str(tokens))

    def make_job(self):
        provider, creator = self.home("provider"), self.home("creator")
        self.texts = []
        for number, name in enumerate(("addresses", "novels", "scripture")):
            shutil.copy(next((HERE.parent / "data").rglob(f"{name}*.txt*")), provider)
            file = next(provider.glob(f"{name}*.txt*")).name
            licence = "CC0-1.0" if name == "addresses" else "LicenseRef-Public-Domain"
            command = ["data", "publish", file, "--domain", name, "--licence", licence, "--out", f"data/{name}", "--yes"]
            command += ["--tokenizer", f"data/{self.texts[0][0]}/run/data"] if number else ["--vocabulary", "512"]
            command += ["--max-bytes", "400000"]
            self.texts.append((name, self.type("provider", *command)[-1]["dataset"]))
        shutil.copy(provider / "data/addresses/run/data/tokenizer.json", creator)
        (creator / "job.toml").write_text(self.job_file())
        before, begun = self.lamports("creator"), time.monotonic()
        made = self.type("creator", "job", "create", "--config", "job.toml", "--out", "node", "--yes")[-1]
        self.job = made["job"]
        cost = (before - self.lamports("creator")) / SOL
        self.tell(f"job {self.job}: {time.monotonic() - begun:.0f} seconds, {cost:.6f} SOL of rent and fees")

    def job_file(self):
        words = self.words
        slots = words.phase_slots or (300 if words.validator else max(15_000 // words.slot_ms, 150))
        text = f'[model]\npreset = "{words.model}"\ntokenizer = "."\n'
        text += "".join(f'\n[[domain]]\ndataset = "{dataset}"\n' for _, dataset in self.texts)
        text += f"\n[training]\nrounds = {words.rounds}\nsteps = {words.steps}\nleaf_steps = {min(5, words.steps)}\n"
        text += f"held_out_windows = 8\n\n[audit]\nfirst_percent = {100 if words.rounds < 6 else 50}\n\n[steer]\n"
        text += "learning_rate = { least = 0.5, most = 2.0, stake_tokens = 80000 }\n\n[expected]\ntrainers = 3\nslower = 8\n\n[phases]\n"
        phases = ("commit", "audit", "vote", "evaluation", "challenge")
        return text + "".join(f"{phase}_slots = {slots}\n" for phase in phases)

    def seats(self):
        for name in self.people:
            kind = name.split("-")[0]
            if kind in ("creator", "provider"):
                continue
            self.distribute(name, 22_000)
            made = self.type(name, "pool", "create", "--kind", kind, "--bond", str(BOND))[-1]
            self.pools[name] = next(change["address"] for change in made["changes"] if change["account"] == "pool")
            self.type(name, "job", "join", self.job, kind)
        self.tell("everyone has a seat")

    # -- the work

    def run(self):
        for name in self.people:
            kind, host = name.split("-")[0], self.addresses[name]
            port = 19000 + self.people.index(name)
            command = [self.sip, "node", "run", self.job, "--role", ROLES[kind], "--data", "node"]
            command += ["--listen", f"{host}:{port}"]
            if kind == "provider":
                for text, _ in self.texts:
                    command += ["--texts", f"data/{text}"]
            if kind in ("creator", "provider"):
                command += ["--stay"]
            if name == LIAR:
                command += ["--cheat", "flip-bit", "--cheat-from", "1"]
            self.start(name, command, self.home(name) / "node.log")
        self.follow()

    def follow(self):
        """Until all rounds are final: tells each step once, and what is held where at its time."""
        by = time.monotonic() + self.words.minutes * 60
        told = set()
        self.figures = [("begun", self.held())]
        while not self.is_over():
            if time.monotonic() > by:
                raise SystemExit(f"the job is not over after {self.words.minutes} minutes")
            for name in ("chain", "creator", "provider"):
                if self.processes[name].poll() is not None:
                    raise SystemExit(f"the process of {name} has ended with {self.processes[name].returncode}")
            for row in self.type("reader", "job", "rounds", self.job)[0]:
                line = f"round {row['round']}: {row['phase']}"
                if line not in told:
                    told.add(line)
                    self.figures.append((line, self.held()))
                    self.tell(f"{line}, slot {self.figures[-1][1].slot}")
            time.sleep(1)

    def is_over(self):
        self.rounds = self.type("reader", "job", "rounds", self.job)[0]
        return sum(row["phase"] == "final" for row in self.rounds) >= self.words.rounds

    def lamports(self, name):
        return self.rpc("getBalance", self.wallets[name], {"commitment": "confirmed"})["value"]

    def held(self):
        slot = self.rpc("getSlot", {"commitment": "confirmed"})
        options = {"encoding": "base64", "commitment": "confirmed", "dataSlice": {"offset": 0, "length": 0}}
        accounts = self.rpc("getProgramAccounts", self.program or PROGRAM, options)
        rent = sum(account["account"]["lamports"] for account in accounts)
        return Held(slot, time.monotonic(), rent)

    # -- what must hold

    def check(self):
        begun = time.monotonic()
        found = self.type("reader", "verify", self.job, "--url", self.url)[-1]
        ensure(found["verified"] and found["final"], f"sip verify: {found}")
        ensure(found["convictedSegments"] >= 1, "the liar was not convicted")
        self.tell(f"sip verify, from chain and peers alone: base {found['baseRoot']}, {found['fetchedBytes']} bytes, "
                  f"{time.monotonic() - begun:.0f} seconds")
        told = self.type("reader", "job", "export", self.job, "--out", "model")[-1]
        ensure(told["baseRoot"] == found["baseRoot"], f"sip job export: {told}")
        bonds = {pool["pool"]: int(pool["ownBondBaseUnits"]) for pool in self.type("reader", "pool", "list")[0]}
        lost = [name for name, pool in self.pools.items() if bonds[pool] < BOND * 10**9]
        ensure(lost == [LIAR], f"these have lost of their bonds: {lost}")
        self.tell(f"{LIAR} is convicted and has {bonds[self.pools[LIAR]] / 1e9:,.0f} of {BOND:,} tokens left; nobody else has lost any")

    def measure(self):
        """What rounds took, in slots, seconds and SOL."""
        print("\n| step | slot | seconds | rent of the program's accounts, SOL |\n|---|---|---|---|")
        first = self.figures[0][1]
        for line, held in self.figures:
            print(f"| {line} | {held.slot - first.slot} | {held.seconds - first.seconds:.0f} | {held.rent / SOL:.6f} |")
        print("\n| round | transactions | fees, SOL | rent lent, SOL | rent that came back, SOL |\n|---|---|---|---|---|")
        for number, book in sorted(self.books().items()):
            fees, lent, back = (book[key] / SOL for key in ("feeLamports", "rentOutLamports", "rentBackLamports"))
            print(f"| {number} | {book['transactions']} | {fees:.6f} | {lent:.6f} | {back:.6f} |")
        last = self.figures[-1][1]
        print(f"\n{1000 * (last.seconds - first.seconds) / max(1, last.slot - first.slot):.0f} ms a slot")
        if self.lines:
            for name, (out, into) in self.lines.sent().items():
                print(f"{name}: {out / 1e6:.1f} MB out, {into / 1e6:.1f} MB in")

    def books(self):
        """What all nodes together paid in each round, as they noted it."""
        books = defaultdict(Counter)
        for name in self.people:
            status = json.loads((self.folder / name / "node/status.json").read_text())
            for book in status["books"]:
                books[book["round"]].update({key: int(value) for key, value in book.items() if key != "round"})
        return books


def ensure(holds, otherwise):
    if not holds:
        raise SystemExit(otherwise)


def main():
    wanted = words()
    folder = Path(wanted.keep or tempfile.mkdtemp(prefix="sip-network-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("asked to end"))
    network = Network(wanted, folder)
    try:
        network.begin()
        network.run()
        network.check()
        network.measure()
    except BaseException:
        for name in network.people:
            log = folder / name / "node.log"
            if log.exists():
                print(f"-- {name}", *log.read_text(errors="replace").splitlines()[-5:], sep="\n   ")
        raise
    finally:
        network.end()
        if not wanted.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
