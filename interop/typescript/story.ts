// What people do on a chain, from TypeScript: stake, lead stake out again, steer, lock, begin a job, train, pay, accuse, demand.
// Usage: tsx story.ts URL KEY NAMES.json     (NAMES.json is written: the addresses of what was made, by name)
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { isSolanaError, type Address, type Instruction, type ProgramDerivedAddress } from '@solana/kit';
import { connect } from './chain';
import * as sip from './generated';
import { PoolKind, RoundStatus } from './generated';

const [url, keyFile, namesFile] = process.argv.slice(2);
const { rpc, me, send } = await connect(url, keyFile);
const TOKEN = 1_000_000_000n;
const ROOT = createHash('sha256').update('typescript').digest();
const made: Record<string, Address> = { owner: me.address };

async function step(what: string, ...instructions: Instruction[]) {
    const start = performance.now();
    await send(...instructions);
    console.log(`ok  ${what} (${Math.round(performance.now() - start)} ms)`);
}

async function named(name: string, derived: Promise<ProgramDerivedAddress>) {
    return (made[name] = (await derived)[0]);
}

/** The program's own error number behind a failed transaction. */
function programError(error: unknown): number | undefined {
    for (let at = error; isSolanaError(at); at = at.cause) {
        if ('code' in at.context && typeof at.context.code === 'number') return at.context.code;
    }
    return undefined;
}

async function isRefused(what: string, expected: sip.SipError, instruction: Instruction) {
    const code = await send(instruction).then(() => undefined, programError);
    assert.equal(code, expected, what);
    console.log(`ok  ${what}: ${sip.getSipErrorMessage(expected)}`);
}

async function pool(name: string, kind: PoolKind, tokens: bigint, chainTip: Uint8Array = new Uint8Array(32)) {
    await named(name, sip.findPoolPda({ kind, scope: me.address, index: 0 }));
    const selfBond = tokens * TOKEN;
    return sip.getCreatePoolInstructionAsync({ operator: me, chainTip, selfBond, index: 0, commissionBps: 1_000, kind, compounding: false });
}

const deposit = (pool: Address, amount: bigint) => sip.getDepositInstructionAsync({ owner: me, pool, amount, minimumShares: 0n });

/** The least job that the program takes. */
function jobSpec(): sip.JobSpecArgs {
    const zero = sip.getJobSpecDecoder().decode(new Uint8Array(sip.getJobSpecDecoder().fixedSize));
    const phases = { commitSlots: 1_000, auditSlots: 1_000, voteSlots: 1_000, evaluationSlots: 1_000, challengeSlots: 1_000 };
    const scoring = { scoreNodeCount: 1, scoreWindows: 1, scoreRows: 1, scoreLeafInterval: 1 };
    const steps = { nodeCount: 1, stateCount: 1, innerSteps: 1, leafInterval: 1, batch: 1, sequenceLength: 8, rounds: 1 };
    const mixture = { domainCount: 1, mixtureMode: sip.MixtureMode.SquareRoot, mixtureCapBps: 10_000 };
    return { ...zero, ...phases, ...scoring, ...steps, ...mixture, lookahead: 1, genesisRoot: ROOT, slice: 1_000n * TOKEN, roundReward: 100n * TOKEN };
}

await step("create a trainer's pool", await pool('trainer', PoolKind.Trainer, 2_000n));
await step('stake 1,000.5 SIP into it', await deposit(made.trainer, 1_000_500_000_000n));
await named('position', sip.findPositionPda({ pool: made.trainer, owner: me.address }));
assert.equal((await sip.fetchPosition(rpc, made.position)).data.pending, 1_000_500_000_000n);
await isRefused('stake of nothing', sip.SIP_ERROR__ZERO_AMOUNT, await deposit(made.trainer, 0n));

const auditor = await pool('auditor', PoolKind.Auditor, 3_000n, ROOT);
await step('create the pools of an auditor and an evaluator', auditor, await pool('evaluator', PoolKind.Evaluator, 2_000n));
const data = await pool('data', PoolKind.Data, 1_000n);
await step('create the pools of a provider and a server', data, await pool('server', PoolKind.Server, 1_000n));
await named('dataset', sip.findDatasetPda({ pool: made.data, trainRoot: ROOT, heldOutRoot: ROOT }));
const texts = { domain: 'häuser', licence: 'CC0-1.0', trainRoot: ROOT, heldOutRoot: ROOT, trainTokens: 9_000n, heldOutTokens: 900n };
await step('register a dataset', await sip.getRegisterDatasetInstructionAsync({ provider: me, pool: made.data, ...texts }));
const job = await named('job', sip.findJobPda({ creator: me.address, nonce: 7 }));
await step('create a job', await sip.getCreateJobInstructionAsync({ creator: me, spec: jobSpec(), nonce: 7, datasets: [made.dataset] }));
const noCard = sip.getCardDecoder().decode(new Uint8Array(sip.getCardDecoder().fixedSize));
const card = { ...noCard, manifestRoot: ROOT, manifestBytes: 1_000n, leastProtocol: 1 };
await step('say where its manifest is found', sip.getDescribeJobInstruction({ creator: me, job, card }));
const seat = (pool: Address) => sip.getJoinJobInstructionAsync({ operator: me, job, pool, allottedBps: 10_000 });
await step('take three places of it', await seat(made.trainer), await seat(made.auditor), await seat(made.evaluator));

await named('attention', sip.findPoolPda({ kind: PoolKind.Attention, scope: job, index: 0 }));
await step('create the pool of its domain', await sip.getCreateAttentionPoolInstructionAsync({ payer: me, job, domain: 0 }));
await step('stake attention on it', await deposit(made.attention, 300n * TOKEN));
await named('patron', sip.findPositionPda({ pool: made.attention, owner: me.address }));
const { rampEndSlot } = (await sip.fetchPosition(rpc, made.patron)).data;
while ((await rpc.getSlot().send()) <= rampEndSlot) await new Promise(resolve => setTimeout(resolve, 200));
const activate = (pool: Address, position: Address) => sip.getActivateInstruction({ pool, position });
await step('activate both stakes', activate(made.trainer, made.position), activate(made.attention, made.patron));
const patron = (await sip.fetchPosition(rpc, made.patron)).data;
assert.deepEqual([patron.pending, patron.shares], [0n, 300n * TOKEN]);

const position = (await sip.fetchPosition(rpc, made.position)).data;
const ticket = await named('ticket', sip.findTicketPda({ position: made.position, nonce: position.tickets }));
const exit = { owner: me, pool: made.trainer, ticket, shares: position.shares / 3n };
await step('request an exit of a third', await sip.getRequestExitInstructionAsync(exit));
const lock = { owner: me, pool: made.attention, shares: 200n * TOKEN, periods: 12n };
await step('lock the attention', await sip.getLockSharesInstructionAsync(lock));
await named('vote', sip.findVotePda({ position: made.position }));
const steer = { owner: me, pool: made.trainer, target: made.attention, shares: 100n * TOKEN };
await step('steer with the stake on the trainer', await sip.getSteerInstructionAsync(steer));

const round = await named('round', sip.findRoundPda({ job, index: 0 }));
await step('open a round', await sip.getOpenRoundInstructionAsync({ payer: me, job, round, attentionPools: [made.attention] }));
assert.equal((await sip.fetchRound(rpc, round)).data.status, RoundStatus.Open);
const nothing = sip.getSegmentClaimDecoder().decode(new Uint8Array(sip.getSegmentClaimDecoder().fixedSize));
const claim = { ...nothing, startRoot: ROOT, endRoot: ROOT, accumulatorRoot: ROOT, leafCount: 1 };
await named('segment', sip.findSegmentPda({ round, pool: made.trainer }));
await step('commit a segment', await sip.getCommitSegmentInstructionAsync({ trainer: me, job, round, pool: made.trainer, claim }));

await named('model', sip.findPoolPda({ kind: PoolKind.Model, scope: me.address, index: 0 }));
const model = { operator: me, job, selfBond: 1_000n * TOKEN, index: 0, commissionBps: 500, royaltyBps: 0, compounding: true };
await step("create the model's pool", await sip.getCreateModelPoolInstructionAsync(model));
await named('fees', sip.findFeesPda({ job }));
const fee = { payer: me, job, round, server: made.server, models: [made.model], receipt: ROOT, amount: 20n * TOKEN };
await step('pay for an answer of it', await sip.getPayFeeInstructionAsync(fee));
await named('accusation', sip.findAccusationPda({ challenger: me.address, hash: ROOT }));
await step('commit an accusation', await sip.getCommitAccusationInstructionAsync({ challenger: me, job, hash: ROOT }));
await named('demand', sip.findDemandPda({ subject: made.dataset, demander: me.address, entry: 0, chunk: 0 }));
const demand = { demander: me, dataset: made.dataset, pool: made.data, part: 0, chunk: 0 };
await step('demand a part of the data', await sip.getDemandDataInstructionAsync(demand));
writeFileSync(namesFile, JSON.stringify(made, null, 1));
