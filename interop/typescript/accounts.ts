// Accounts of the program as the generated client decodes them, as JSON: {address: [kind, fields]}.
// Usage: tsx accounts.ts URL|FILE OUT.json     (FILE: [[address, data in base64]], such as ../ledger.py writes)
import { readFileSync, writeFileSync } from 'node:fs';
import { createSolanaRpc, getBase64Encoder, type ReadonlyUint8Array } from '@solana/kit';
import * as sip from './generated';
import { SipAccount } from './generated';

const decoders = {
    [SipAccount.Config]: sip.getConfigDecoder(),
    [SipAccount.Pool]: sip.getPoolDecoder(),
    [SipAccount.Position]: sip.getPositionDecoder(),
    [SipAccount.Ticket]: sip.getTicketDecoder(),
    [SipAccount.Dataset]: sip.getDatasetDecoder(),
    [SipAccount.Job]: sip.getJobDecoder(),
    [SipAccount.Round]: sip.getRoundDecoder(),
    [SipAccount.Segment]: sip.getSegmentDecoder(),
    [SipAccount.Dispute]: sip.getDisputeDecoder(),
    [SipAccount.ScoringRun]: sip.getScoringRunDecoder(),
    [SipAccount.Accusation]: sip.getAccusationDecoder(),
    [SipAccount.Demand]: sip.getDemandDecoder(),
    [SipAccount.EmissionAccount]: sip.getEmissionAccountDecoder(),
    [SipAccount.Fees]: sip.getFeesDecoder(),
    [SipAccount.Vote]: sip.getVoteDecoder(),
};

/** Numbers as texts, bytes as hexadecimal digits. */
function plain(_: string, value: unknown) {
    if (typeof value === 'bigint') return value.toString();
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

async function* accounts(from: string): AsyncGenerator<[string, ReadonlyUint8Array]> {
    const base64 = getBase64Encoder();
    if (from.startsWith('http')) {
        const found = await createSolanaRpc(from).getProgramAccounts(sip.SIP_PROGRAM_ADDRESS, { encoding: 'base64', commitment: 'confirmed' }).send();
        for (const { pubkey, account } of found) yield [pubkey, base64.encode(account.data[0])];
    } else {
        for (const [address, data] of JSON.parse(readFileSync(from, 'utf8'))) yield [address, base64.encode(data)];
    }
}

const [from, out] = process.argv.slice(2);
const decoded: Record<string, [string, object]> = {};
for await (const [address, data] of accounts(from)) {
    const kind = sip.identifySipAccount(data);
    decoded[address] = [SipAccount[kind], decoders[kind].decode(data)];
}
writeFileSync(out, JSON.stringify(decoded, plain));
