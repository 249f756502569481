//! Solana's own Rust clients against a local chain: `solana-rpc-client` and `solana-pubsub-client`.
//!
//! Usage: `cargo run --release -- [http://127.0.0.1:8899]`; WebSocket is on the next port.

use futures_util::StreamExt;
use solana_account_decoder_client_types::UiAccountEncoding;
use solana_address::Address;
use solana_commitment_config::CommitmentConfig;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubsub_client::nonblocking::pubsub_client::PubsubClient;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::config::{RpcAccountInfoConfig, RpcProgramAccountsConfig};
use solana_rpc_client_api::filter::{Memcmp, RpcFilterType};
use solana_rpc_client_api::request::TokenAccountsFilter;
use solana_signer::Signer;
use solana_system_interface::instruction::{create_account, transfer};
use solana_transaction::Transaction;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SOL: u64 = 1_000_000_000;
const TOKEN_PROGRAM: Address = Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

async fn sign(rpc: &RpcClient, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Transaction> {
    let blockhash = rpc.get_latest_blockhash().await?;
    Ok(Transaction::new_signed_with_payer(instructions, Some(&signers[0].pubkey()), signers, blockhash))
}

fn done(name: &str, start: &mut Instant) {
    println!("ok  {name} ({} ms)", start.elapsed().as_millis());
    *start = Instant::now();
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8899".into());
    let (host, port) = url.trim_start_matches("http://").rsplit_once(':').ok_or("expected http://host:port")?;
    let websocket_url = format!("ws://{host}:{}", port.parse::<u16>()? + 1);
    let rpc = RpcClient::new_with_commitment(url, CommitmentConfig::confirmed());
    let pubsub = PubsubClient::new(websocket_url).await?;
    let (alice, bob) = (Keypair::new(), Keypair::new().pubkey());
    let mut start = Instant::now();

    println!("solana-core {}", rpc.get_version().await?.solana_core);
    let signature = rpc.request_airdrop(&alice.pubkey(), 10 * SOL).await?;
    while !rpc.confirm_transaction(&signature).await? {}
    assert_eq!(rpc.get_balance(&alice.pubkey()).await?, 10 * SOL);
    done("airdrop", &mut start);

    let transaction = sign(&rpc, &[transfer(&alice.pubkey(), &bob, SOL)], &[&alice]).await?;
    let options = RpcAccountInfoConfig { encoding: Some(UiAccountEncoding::Base64), ..Default::default() };
    let (mut accounts, _unsubscribe_account) = pubsub.account_subscribe(&bob, Some(options)).await?;
    let (mut signatures, _unsubscribe) = pubsub.signature_subscribe(&transaction.signatures[0], None).await?;
    let signature = rpc.send_and_confirm_transaction(&transaction).await?;
    assert_eq!(accounts.next().await.ok_or("no account notification")?.value.lamports, SOL);
    signatures.next().await.ok_or("no signature notification")?;
    assert_eq!(rpc.get_balance(&bob).await?, SOL);
    assert!(rpc.get_signature_status(&signature).await?.ok_or("no status")?.is_ok());
    done("transfer with send_and_confirm, account_subscribe, signature_subscribe", &mut start);

    let error = rpc
        .send_and_confirm_transaction(&sign(&rpc, &[transfer(&alice.pubkey(), &bob, 100 * SOL)], &[&alice]).await?)
        .await
        .err()
        .ok_or("a transfer of what is not there succeeded")?;
    assert!(error.get_transaction_error().is_some(), "{error}");
    done("a transaction that must fail, with its error", &mut start);

    let (mint, token) = (Keypair::new(), Keypair::new());
    let create = async |keypair: &Keypair, bytes: usize| -> Result<Instruction> {
        let rent = rpc.get_minimum_balance_for_rent_exemption(bytes).await?;
        Ok(create_account(&alice.pubkey(), &keypair.pubkey(), rent, bytes as u64, &TOKEN_PROGRAM))
    };
    let instruction = |accounts, data| Instruction { program_id: TOKEN_PROGRAM, accounts, data };
    let writable = |keypair: &Keypair| AccountMeta::new(keypair.pubkey(), false);
    let instructions = [
        create(&mint, 82).await?,
        instruction(vec![writable(&mint)], [&[20, 6][..], alice.pubkey().as_ref(), &[0]].concat()),
        create(&token, 165).await?,
        instruction(vec![writable(&token), writable(&mint)], [&[18][..], bob.as_ref()].concat()),
        instruction(
            vec![writable(&mint), writable(&token), AccountMeta::new_readonly(alice.pubkey(), true)],
            [&[7][..], &1_500_000u64.to_le_bytes()].concat(),
        ),
    ];
    rpc.send_and_confirm_transaction(&sign(&rpc, &instructions, &[&alice, &mint, &token]).await?).await?;
    assert_eq!(rpc.get_token_account_balance(&token.pubkey()).await?.ui_amount_string, "1.5");
    assert_eq!(rpc.get_token_supply(&mint.pubkey()).await?.amount, "1500000");
    let owned = rpc.get_token_accounts_by_owner(&bob, TokenAccountsFilter::Mint(mint.pubkey())).await?;
    assert_eq!(owned[0].pubkey, token.pubkey().to_string());
    done("a token: mint, account, supply, by owner", &mut start);

    let filters =
        vec![RpcFilterType::DataSize(165), RpcFilterType::Memcmp(Memcmp::new_base58_encoded(32, bob.as_ref()))];
    let options = RpcProgramAccountsConfig {
        filters: Some(filters),
        account_config: RpcAccountInfoConfig { encoding: Some(UiAccountEncoding::Base64Zstd), ..Default::default() },
        ..Default::default()
    };
    let found = rpc.get_program_ui_accounts_with_config(&TOKEN_PROGRAM, options).await?;
    assert_eq!(found.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [token.pubkey()]);
    done("getProgramAccounts with filters, base64+zstd", &mut start);

    let (mut slots, _unsubscribe_slots) = pubsub.slot_subscribe().await?;
    let (first, second) = (slots.next().await.ok_or("no slot")?, slots.next().await.ok_or("no slot")?);
    assert_eq!(second.parent, first.slot);
    let info = rpc.get_epoch_info().await?;
    assert!(info.absolute_slot >= second.slot);
    rpc.get_block_height().await?;
    rpc.supply().await?;
    rpc.get_cluster_nodes().await?;
    rpc.get_vote_accounts().await?;
    rpc.get_inflation_rate().await?;
    rpc.get_recent_prioritization_fees(&[]).await?;
    done("slot_subscribe, and the cluster's methods", &mut start);

    println!("solana-rpc-client and solana-pubsub-client understand this chain");
    Ok(())
}
