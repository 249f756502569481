"""Whether different readers of accounts found the same.

    python3 compare.py equal RULES.json CLIENT.json...        # the decode of the rules' own structs, and those of clients
    python3 compare.py shown CLIENT.json NAMES.json SIP KEY   # what `sip … --json` shows of a chain, and a client's decode of it
    python3 compare.py kinds CLIENT.json...                   # whether all kinds of accounts of the IDL occur in these together

NAMES.json has the addresses that a client's story made. The chain is the one of SIP_URL.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))
from sip import base58  # noqa: E402

IDL = json.loads((HERE.parent / "idl" / "sip.json").read_text())


def word(name):
    """A name without the spelling of its language: scoring_run, scoringRun and ScoringRun are one."""
    return name.replace("_", "").lower()


def spellings(data):
    """What clients make of bytes: an address, digits, a text."""
    yield data.hex()
    if len(data) == 32:
        yield base58(data)
    try:
        yield data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        pass


def differences(rules, client, at):
    """Where a client's value is another than that of the rules; every equal number, byte string or text is counted in `differences.equal`."""
    if isinstance(rules, dict):
        fields = {word(name): value for name, value in client.items()}
        if {word(name) for name in rules} != set(fields):
            yield f"{at} has other fields: {sorted(fields)}"
            return
        for name, value in rules.items():
            yield from differences(value, fields[word(name)], f"{at}.{name}")
    elif isinstance(rules, list) and isinstance(client, list):
        if len(rules) != len(client):
            yield f"{at} has {len(client)} values, not {len(rules)}"
        for place, (one, other) in enumerate(zip(rules, client)):
            yield from differences(one, other, f"{at}[{place}]")
    elif client in spellings(bytes(rules)) if isinstance(rules, list) else int(client) == rules:
        differences.equal += 1
    else:
        yield f"{at} is {client!r}, not {rules!r}"


def equal(rules_file, *client_files):
    rules = json.loads(Path(rules_file).read_text())
    for file in client_files:
        client, found, kinds = json.loads(Path(file).read_text()), [], Counter()
        differences.equal = 0
        if set(client) != set(rules):
            found.append(f"other accounts: {sorted(set(client) ^ set(rules))}")
        for address in set(client) & set(rules):
            (kind, fields), (client_kind, client_fields) = rules[address], client[address]
            kinds[kind] += 1
            if word(kind) != word(client_kind):
                found.append(f"{address} is a {client_kind}, not a {kind}")
            found += differences(fields, client_fields, f"{address}: {kind}")
        if found:
            raise SystemExit("\n".join([*found[:20], f"{file}: {len(found)} differences"]))
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        print(f"ok  {differences.equal} values of {len(client)} accounts are equal ({counted})")


def shown(client_file, names_file, sip, key):
    """Compares figures that the commands show under their own names."""
    decoded = {address: {word(name): value for name, value in fields.items()}
               for address, (_, fields) in json.loads(Path(client_file).read_text()).items()}  # fmt: skip
    names, compared = json.loads(Path(names_file).read_text()), 0

    def ask(*words):
        run = subprocess.run([sip, *words, "--key", key, "--json"], capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"sip {' '.join(words)}: {run.stderr}")
        return json.loads(run.stdout)

    def choice(name, number):
        variants = next(node["type"]["variants"] for node in IDL["program"]["definedTypes"] if node["name"] == name)
        return variants[number]["name"]

    def same(what, name, **figures):
        """Figures of a command, by the name of the client's field; a name with a dot lies in a struct."""
        nonlocal compared
        for field, figure in figures.items():
            value = decoded[names.get(name, name)]
            for part in field.split("__"):
                value = value[int(part)] if isinstance(value, list) else {word(name): v for name, v in value.items()}[word(part)]
            if str(value) != str(figure):
                raise SystemExit(f"{what} shows {figure} for {name}.{field}, and the client decodes {value}")
            compared += 1

    for name in ["trainer", "auditor", "data", "model", "attention"]:
        pool = ask("pool", "show", names[name])
        same("pool show", name, self_bond=pool["ownBondBaseUnits"], assets=pool["delegatedBaseUnits"], shares=pool["shares"],
             unbonding_assets=pool["leavingBaseUnits"], commission_bps=pool["commissionBps"], index=pool["index"],
             open_disputes=pool["openDisputes"])  # fmt: skip
        assert choice("poolKind", decoded[names[name]]["kind"]) == pool["kind"], name
        assert pool["openDisputes"] or choice("poolStatus", decoded[names[name]]["status"]) == pool["status"], name
    stakes = {stake["pool"]: stake for stake in ask("stake", "list")}
    for pool, position in [("trainer", "position"), ("attention", "patron")]:
        stake = stakes[names[pool]]
        same("stake list", position, shares=stake["shares"], claimable=stake["claimableBaseUnits"],
             locked_shares=stake["lockedBaseUnits"], steering_shares=stake["steeringBaseUnits"], pool=stake["pool"])  # fmt: skip
    [ticket] = ask("exit", "list")
    same("exit list", "ticket", nonce=ticket["number"], assets=ticket["tokensBaseUnits"], mature_slot=ticket["slotOfMaturity"], pool=ticket["pool"])
    [vote] = ask("steer", "votes")
    same("steer votes", "vote", weight=vote["weightBaseUnits"], pool=vote["pool"])
    [domain] = ask("steer", "show", names["job"])
    same("steer show", "attention", assets=domain["attentionBaseUnits"], steered=domain["votesBaseUnits"])
    same("steer show", "dataset", domain=domain["name"])
    job = ask("job", "show", names["job"])
    same("job show", "job", creator=job["creator"], base_root=job["baseRoot"], spec__genesis_root=job["genesisRoot"],
         spec__slice=job["sliceOfABondBaseUnits"], spec__round_reward=job["mostOfARoundBaseUnits"],
         spec__sequence_length=job["tokensOfASequence"], spec__mixture_cap_bps=job["mostMixtureBps"])  # fmt: skip
    [round_] = ask("job", "rounds", names["job"])
    same("job rounds", "round", index=round_["round"] - 1, commit_deadline_slot=round_["untilSlot"], reward=round_["rewardBaseUnits"])
    [fees] = ask("fee", "show", names["job"])
    same("fee show", "fees", data__0=fees["waitsForDataBaseUnits"], attention__0=fees["waitsForPatronsBaseUnits"])
    protocol = ask("protocol", "show")
    config = next(address for address, fields in decoded.items() if "buckets" in fields)
    same("protocol show", config, authority=protocol["authority"], mint=protocol["mint"], vault=protocol["vault"],
         burned=protocol["burnedBaseUnits"], buckets__public=protocol["publicBaseUnits"], buckets__treasury=protocol["treasuryBaseUnits"],
         parameters__unbonding_slots=protocol["unbondingSlots"], parameters__activation_slots=protocol["activationSlots"],
         parameters__penalties__convicted_vote__bond_bps=protocol["convictedVoteBps"])  # fmt: skip
    print(f"ok  {compared} figures that commands show are equal")


def kinds(*client_files):
    found = {word(kind) for file in client_files for kind, _ in json.loads(Path(file).read_text()).values()}
    missing = [node["name"] for node in IDL["program"]["accounts"] if word(node["name"]) not in found]
    if missing:
        raise SystemExit(f"no account of these kinds was read: {', '.join(missing)}")
    print(f"ok  all {len(found)} kinds of accounts were read")


if __name__ == "__main__":
    {"equal": equal, "shown": shown, "kinds": kinds}[sys.argv[1]](*sys.argv[2:])
