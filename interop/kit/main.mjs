// @solana/kit against a local chain: what a wallet or a web application does, with its own code paths.
// Usage: node main.mjs [http://127.0.0.1:8899]   (WebSocket is on the next port)
import assert from 'node:assert/strict';
import {
    airdropFactory,
    appendTransactionMessageInstructions,
    assertIsTransactionWithBlockhashLifetime,
    createSolanaRpc,
    createSolanaRpcSubscriptions,
    createTransactionMessage,
    generateKeyPairSigner,
    getSignatureFromTransaction,
    isSolanaError,
    lamports,
    pipe,
    sendAndConfirmTransactionFactory,
    setTransactionMessageFeePayerSigner,
    setTransactionMessageLifetimeUsingBlockhash,
    signTransactionMessageWithSigners,
    SOLANA_ERROR__JSON_RPC__SERVER_ERROR_SEND_TRANSACTION_PREFLIGHT_FAILURE,
} from '@solana/kit';
import { getCreateAccountInstruction, getTransferSolInstruction, SYSTEM_PROGRAM_ADDRESS } from '@solana-program/system';
import {
    fetchMint,
    fetchToken,
    findAssociatedTokenPda,
    getCreateAssociatedTokenIdempotentInstructionAsync,
    getInitializeMint2Instruction,
    getMintSize,
    getMintToInstruction,
    TOKEN_PROGRAM_ADDRESS,
} from '@solana-program/token';

const url = process.argv[2] ?? 'http://127.0.0.1:8899';
const websocketUrl = new URL(url);
websocketUrl.protocol = 'ws:';
websocketUrl.port = String(Number(websocketUrl.port) + 1);

const SOL = 1_000_000_000n;
const rpc = createSolanaRpc(url);
const rpcSubscriptions = createSolanaRpcSubscriptions(websocketUrl.href);
const sendAndConfirm = sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions });
const airdrop = airdropFactory({ rpc, rpcSubscriptions });
const commitment = 'confirmed';

async function step(name, work) {
    const start = performance.now();
    await work();
    console.log(`ok  ${name} (${Math.round(performance.now() - start)} ms)`);
}

async function sign(payer, instructions) {
    const { value: blockhash } = await rpc.getLatestBlockhash({ commitment }).send();
    const transaction = await pipe(
        createTransactionMessage({ version: 0 }),
        message => setTransactionMessageFeePayerSigner(payer, message),
        message => setTransactionMessageLifetimeUsingBlockhash(blockhash, message),
        message => appendTransactionMessageInstructions(instructions, message),
        message => signTransactionMessageWithSigners(message),
    );
    assertIsTransactionWithBlockhashLifetime(transaction);
    return transaction;
}

async function send(payer, instructions) {
    const transaction = await sign(payer, instructions);
    await sendAndConfirm(transaction, { commitment });
    return getSignatureFromTransaction(transaction);
}

// The next message. Kit drops what arrives before someone waits, so this comes before the transaction.
async function next(notifications, isWanted = () => true) {
    const messages = notifications[Symbol.asyncIterator]();
    for (;;) {
        const { value } = await messages.next();
        if (isWanted(value)) return value;
    }
}

const [alice, bob, mint] = await Promise.all([generateKeyPairSigner(), generateKeyPairSigner(), generateKeyPairSigner()]);
const stop = new AbortController();

await step('getVersion, getGenesisHash, getEpochInfo', async () => {
    await rpc.getVersion().send();
    await rpc.getGenesisHash().send();
    assert((await rpc.getEpochInfo().send()).absoluteSlot > 0n);
});

await step('airdrop, confirmed through subscriptions', async () => {
    await airdrop({ commitment, lamports: lamports(10n * SOL), recipientAddress: alice.address });
    assert.equal((await rpc.getBalance(alice.address, { commitment }).send()).value, 10n * SOL);
});

await step('accountNotifications of a transfer, and sendAndConfirm', async () => {
    const notifications = await rpcSubscriptions
        .accountNotifications(bob.address, { commitment, encoding: 'base64' })
        .subscribe({ abortSignal: stop.signal });
    const notification = next(notifications);
    const signature = await send(alice, [getTransferSolInstruction({ source: alice, destination: bob.address, amount: SOL })]);
    assert.equal((await notification).value.lamports, SOL);
    const { value: [status] } = await rpc.getSignatureStatuses([signature]).send();
    // A chain with votes finalizes it some seconds later.
    assert(['confirmed', 'finalized'].includes(status.confirmationStatus));
    const transaction = await rpc
        .getTransaction(signature, { commitment, encoding: 'jsonParsed', maxSupportedTransactionVersion: 0 })
        .send();
    assert.equal(transaction.version, 0);
    assert.equal(transaction.meta.fee, 5000n);
    const [last] = await rpc.getSignaturesForAddress(bob.address, { commitment, limit: 1 }).send();
    assert.equal(last.signature, signature);
});

await step('a transaction that must fail fails in preflight, with its logs', async () => {
    const transaction = await sign(alice, [
        getTransferSolInstruction({ source: alice, destination: bob.address, amount: 1_000n * SOL }),
    ]);
    await assert.rejects(sendAndConfirm(transaction, { commitment }), error => {
        assert(isSolanaError(error, SOLANA_ERROR__JSON_RPC__SERVER_ERROR_SEND_TRANSACTION_PREFLIGHT_FAILURE));
        assert(error.context.logs.some(log => log.includes('insufficient lamports')));
        return true;
    });
});

const [ata] = await findAssociatedTokenPda({ owner: bob.address, mint: mint.address, tokenProgram: TOKEN_PROGRAM_ADDRESS });
await step('a token is made, minted to an associated account, and read', async () => {
    const space = BigInt(getMintSize());
    const rent = await rpc.getMinimumBalanceForRentExemption(space).send();
    await send(alice, [
        getCreateAccountInstruction({
            payer: alice, newAccount: mint, lamports: rent, space, programAddress: TOKEN_PROGRAM_ADDRESS,
        }),
        getInitializeMint2Instruction({ mint: mint.address, decimals: 6, mintAuthority: alice.address }),
        await getCreateAssociatedTokenIdempotentInstructionAsync({ payer: alice, owner: bob.address, mint: mint.address }),
        getMintToInstruction({ mint: mint.address, token: ata, mintAuthority: alice, amount: 1_500_000n }),
    ]);
    assert.equal((await fetchMint(rpc, mint.address, { commitment })).data.supply, 1_500_000n);
    assert.equal((await fetchToken(rpc, ata, { commitment })).data.amount, 1_500_000n);
    const { value: balance } = await rpc.getTokenAccountBalance(ata, { commitment }).send();
    assert.equal(balance.uiAmountString, '1.5');
    const { value: owned } = await rpc
        .getTokenAccountsByOwner(bob.address, { programId: TOKEN_PROGRAM_ADDRESS }, { commitment, encoding: 'jsonParsed' })
        .send();
    assert.equal(owned[0].account.data.parsed.info.tokenAmount.amount, '1500000');
});

await step('getProgramAccounts with filters', async () => {
    const accounts = await rpc
        .getProgramAccounts(TOKEN_PROGRAM_ADDRESS, {
            commitment,
            encoding: 'base64',
            filters: [{ dataSize: 165n }, { memcmp: { offset: 0n, bytes: mint.address, encoding: 'base58' } }],
        })
        .send();
    assert.deepEqual(accounts.map(({ pubkey }) => pubkey), [ata]);
});

await step('simulateTransaction, getFeeForMessage', async () => {
    const transaction = await sign(alice, [getTransferSolInstruction({ source: alice, destination: bob.address, amount: SOL })]);
    const { getBase64EncodedWireTransaction, getBase64Decoder } = await import('@solana/kit');
    const { value } = await rpc
        .simulateTransaction(getBase64EncodedWireTransaction(transaction), { commitment, encoding: 'base64', sigVerify: true })
        .send();
    assert.equal(value.err, null);
    assert.equal(value.unitsConsumed, 150n);
    const message = getBase64Decoder().decode(transaction.messageBytes);
    assert.equal((await rpc.getFeeForMessage(message, { commitment }).send()).value, 5000n);
});

await step('signature, logs, program and slot notifications', async () => {
    const transaction = await sign(alice, [getTransferSolInstruction({ source: alice, destination: bob.address, amount: 7n * SOL / 10n })]);
    const signature = getSignatureFromTransaction(transaction);
    const options = { abortSignal: stop.signal };
    const notifications = await Promise.all([
        rpcSubscriptions.signatureNotifications(signature, { commitment }).subscribe(options),
        rpcSubscriptions.logsNotifications({ mentions: [bob.address] }, { commitment }).subscribe(options),
        rpcSubscriptions.programNotifications(SYSTEM_PROGRAM_ADDRESS, { commitment, encoding: 'base64' }).subscribe(options),
        rpcSubscriptions.slotNotifications().subscribe(options),
    ]);
    // Others may change accounts of the same program.
    const isOurs = ({ value }) => [alice.address, bob.address].includes(value.pubkey);
    const messages = notifications.map((told, index) => (index === 2 ? next(told, isOurs) : next(told)));
    await sendAndConfirm(transaction, { commitment });
    const [status, logs, account, slot] = await Promise.all(messages);
    assert.equal(status.value.err, null);
    assert.equal(logs.value.signature, signature);
    assert(isOurs(account));
    assert(slot.slot > slot.parent);
});

stop.abort();
console.log('@solana/kit understands this chain');
