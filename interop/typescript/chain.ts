// A chain and a wallet on it: what every use of @solana/kit begins with.
import { readFileSync } from 'node:fs';
import {
    appendTransactionMessageInstructions,
    assertIsTransactionWithBlockhashLifetime,
    createKeyPairSignerFromBytes,
    createSolanaRpc,
    createSolanaRpcSubscriptions,
    createTransactionMessage,
    pipe,
    sendAndConfirmTransactionFactory,
    setTransactionMessageFeePayerSigner,
    setTransactionMessageLifetimeUsingBlockhash,
    signTransactionMessageWithSigners,
    type Instruction,
} from '@solana/kit';

/** The chain at this address, whose WebSocket is on the next port, and the wallet of a key file. */
export async function connect(url: string, keyFile: string) {
    const socket = new URL(url.replace(/^http/, 'ws'));
    socket.port = String(Number(socket.port) + 1);
    const rpc = createSolanaRpc(url);
    const sendAndConfirm = sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions: createSolanaRpcSubscriptions(socket.href) });
    const me = await createKeyPairSignerFromBytes(new Uint8Array(JSON.parse(readFileSync(keyFile, 'utf8'))));

    /** Sends instructions as one transaction, signed by the wallet, and waits until it is confirmed. */
    async function send(...instructions: Instruction[]) {
        const { value: blockhash } = await rpc.getLatestBlockhash({ commitment: 'confirmed' }).send();
        const message = pipe(
            createTransactionMessage({ version: 0 }),
            message => setTransactionMessageFeePayerSigner(me, message),
            message => setTransactionMessageLifetimeUsingBlockhash(blockhash, message),
            message => appendTransactionMessageInstructions(instructions, message),
        );
        const transaction = await signTransactionMessageWithSigners(message);
        assertIsTransactionWithBlockhashLifetime(transaction);
        await sendAndConfirm(transaction, { commitment: 'confirmed' });
    }
    return { rpc, me, send };
}
