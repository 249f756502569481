"""What people do on a chain, from Python: stake, lead stake out again, steer, lock, begin a job, train, pay, accuse, demand.

    python3 story.py URL KEY NAMES.json     # NAMES.json is written: the addresses of what was made, by name
"""

import hashlib
import json
import sys
import time
from pathlib import Path

from sip import TOKEN, Sip, SipError, Wallet

IDL = Path(__file__).resolve().parent.parent.parent / "idl" / "sip.json"
ROOT = hashlib.sha256(b"python").digest()


def job_spec(sip):
    """The least job that the program takes."""
    spec = sip.zero("job_spec")
    ones = ["node_count", "state_count", "inner_steps", "leaf_interval", "batch", "rounds", "domain_count", "lookahead", "score_node_count",
            "score_windows", "score_rows", "score_leaf_interval"]  # fmt: skip
    spec.update(dict.fromkeys(ones, 1))
    phases = ["commit_slots", "audit_slots", "vote_slots", "evaluation_slots", "challenge_slots"]
    spec.update(dict.fromkeys(phases, 1_000))
    return spec | dict(genesis_root=ROOT, sequence_length=8, mixture_mode="square_root", mixture_cap_bps=10_000, slice=1_000 * TOKEN,
                       round_reward=100 * TOKEN)  # fmt: skip


def main(url, key, names):
    sip, me = Sip(IDL, url), Wallet.read(key)
    made = {"owner": me.address}

    def step(what, *instructions):
        start = time.monotonic()
        sip.send(me, *instructions)
        print(f"ok  {what} ({(time.monotonic() - start) * 1000:.0f} ms)")

    def is_refused(what, expected, instruction):
        try:
            sip.send(me, instruction)
        except SipError as error:
            assert error.name == expected, error
            return print(f"ok  {what}: {error}")
        raise AssertionError(f"{what} was not refused")

    def pool(kind, self_bond, chain_tip=bytes(32)):
        made[kind] = sip.pda("pool", kind=kind, scope=me.address, index=0)
        return sip.instruction("create_pool", operator=me, chain_tip=chain_tip, self_bond=self_bond * TOKEN, index=0, commission_bps=1_000,
                               kind=kind, compounding=False)  # fmt: skip

    step("create a trainer's pool", pool("trainer", 2_000))
    trainer = made["trainer"]
    deposit = sip.instruction("deposit", owner=me, pool=trainer, amount=1_000_500_000_000, minimum_shares=0)
    step("stake 1,000.5 SIP into it", deposit)
    made["position"] = sip.pda("position", pool=trainer, owner=me.address)
    assert sip.read(made["position"])["pending"] == 1_000_500_000_000
    nothing = sip.instruction("deposit", owner=me, pool=trainer, amount=0, minimum_shares=0)
    is_refused("stake of nothing", "zero_amount", nothing)

    step("create the pools of an auditor and an evaluator", pool("auditor", 3_000, ROOT), pool("evaluator", 2_000))
    step("create the pools of a provider and a server", pool("data", 1_000), pool("server", 1_000))
    made["dataset"] = sip.pda("dataset", pool=made["data"], train_root=ROOT, held_out_root=ROOT)
    step("register a dataset", sip.instruction("register_dataset", provider=me, pool=made["data"], domain="häuser", train_root=ROOT,
                                               held_out_root=ROOT, train_tokens=9_000, held_out_tokens=900, licence="CC0-1.0"))  # fmt: skip
    job = made["job"] = sip.pda("job", creator=me.address, nonce=7)
    step("create a job", sip.instruction("create_job", creator=me, spec=job_spec(sip), nonce=7, datasets=[made["dataset"]]))
    card = sip.zero("card") | dict(manifest_root=ROOT, manifest_bytes=1_000, least_protocol=1)
    step("say where its manifest is found", sip.instruction("describe_job", creator=me, job=job, card=card))
    seats = [sip.instruction("join_job", operator=me, job=job, pool=made[kind], allotted_bps=10_000)
             for kind in ["trainer", "auditor", "evaluator"]]  # fmt: skip
    step("take three places of it", *seats)

    attention = made["attention"] = sip.pda("pool", kind="attention", scope=job, index=0)
    step("create the pool of its domain", sip.instruction("create_attention_pool", payer=me, job=job, domain=0))
    step("stake attention on it", sip.instruction("deposit", owner=me, pool=attention, amount=300 * TOKEN, minimum_shares=0))
    patron = made["patron"] = sip.pda("position", pool=attention, owner=me.address)
    while sip.rpc("getSlot") <= sip.read(patron)["ramp_end_slot"]:
        time.sleep(0.2)
    step("activate both stakes", sip.instruction("activate", pool=trainer, position=made["position"]),
         sip.instruction("activate", pool=attention, position=patron))  # fmt: skip
    assert sip.read(patron)["pending"] == 0 and sip.read(patron)["shares"] == 300 * TOKEN

    position = sip.read(made["position"])
    made["ticket"] = sip.pda("ticket", position=made["position"], nonce=position["tickets"])
    step("request an exit of a third", sip.instruction("request_exit", owner=me, pool=trainer, ticket=made["ticket"],
                                                       shares=position["shares"] // 3))  # fmt: skip
    step("lock the attention", sip.instruction("lock_shares", owner=me, pool=attention, shares=200 * TOKEN, periods=12))
    made["vote"] = sip.pda("vote", position=made["position"])
    step("steer with the stake on the trainer", sip.instruction("steer", owner=me, pool=trainer, target=attention, shares=100 * TOKEN))

    made["round"] = sip.pda("round", job=job, index=0)
    step("open a round", sip.instruction("open_round", payer=me, job=job, round=made["round"], attention_pools=[attention]))
    assert repr(sip.read(made["round"])["status"]) == "open"
    claim = sip.zero("segment_claim") | dict(start_root=ROOT, end_root=ROOT, accumulator_root=ROOT, leaf_count=1)
    made["segment"] = sip.pda("segment", round=made["round"], pool=trainer)
    step("commit a segment", sip.instruction("commit_segment", trainer=me, job=job, round=made["round"], pool=trainer, claim=claim))

    made["model"] = sip.pda("pool", kind="model", scope=me.address, index=0)
    step("create the model's pool", sip.instruction("create_model_pool", operator=me, job=job, self_bond=1_000 * TOKEN, index=0,
                                                    commission_bps=500, royalty_bps=0, compounding=True))  # fmt: skip
    made["fees"] = sip.pda("fees", job=job)
    step("pay for an answer of it", sip.instruction("pay_fee", payer=me, job=job, round=made["round"], server=made["server"],
                                                    models=[made["model"]], receipt=ROOT, amount=20 * TOKEN))  # fmt: skip
    made["accusation"] = sip.pda("accusation", challenger=me.address, hash=ROOT)
    step("commit an accusation", sip.instruction("commit_accusation", challenger=me, job=job, hash=ROOT))
    made["demand"] = sip.pda("demand", subject=made["dataset"], demander=me.address, entry=0, chunk=0)
    step("demand a part of the data", sip.instruction("demand_data", demander=me, dataset=made["dataset"], pool=made["data"], part=0, chunk=0))
    Path(names).write_text(json.dumps(made, indent=1))


main(*sys.argv[1:])
