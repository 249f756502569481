//! A chain to ask, and ways to ask it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use serde_json::{Value, json};
use sip_localnet::{Config, Limits, Localnet};
pub use sip_svm::PROGRAM_ELF;
use solana_address::Address;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

pub const PROGRAM: Address = Address::from_str_const("SipTest111111111111111111111111111111111111");
pub const SOL: u64 = 1_000_000_000;

/// On any free port, with quick slots.
pub fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder.into(), (PROGRAM, PROGRAM_ELF.to_vec()));
    config.port = 0;
    config.slot = Some(Duration::from_millis(20));
    config
}

pub fn start(folder: &Path) -> Localnet {
    Localnet::start(config(folder)).unwrap()
}

/// Slots pass only when asked for.
pub fn start_still(folder: &Path, limits: Limits) -> Localnet {
    let mut config = config(folder);
    config.slot = None;
    config.limits = limits;
    Localnet::start(config).unwrap()
}

pub fn authority(url: &str) -> &str {
    url.split_once("//").unwrap().1
}

/// Sends bytes and returns all that comes back until the peer closes.
pub fn raw(url: &str, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(authority(url))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The answer to a JSON-RPC body.
pub fn try_post(url: &str, body: &str) -> std::io::Result<Value> {
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(url, request.as_bytes())?;
    let body = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?.1;
    Ok(serde_json::from_str(body)?)
}

pub fn ask(url: &str, method: &str, params: Value) -> Result<Value, Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut answer = try_post(url, &request.to_string()).unwrap();
    match answer["error"].take() {
        Value::Null => Ok(answer["result"].take()),
        error => Err(error),
    }
}

pub fn get(url: &str, method: &str, params: Value) -> Value {
    ask(url, method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
}

pub fn blockhash(url: &str) -> Hash {
    get(url, "getLatestBlockhash", json!([]))["value"]["blockhash"].as_str().unwrap().parse().unwrap()
}

pub fn sign(url: &str, instructions: &[Instruction], signers: &[&Keypair]) -> VersionedTransaction {
    sign_with(blockhash(url), instructions, signers)
}

pub fn sign_with(blockhash: Hash, instructions: &[Instruction], signers: &[&Keypair]) -> VersionedTransaction {
    let payer = signers[0].pubkey();
    let message = Message::new_with_blockhash(instructions, Some(&payer), &blockhash);
    let message = VersionedMessage::Legacy(message);
    let bytes = message.serialize();
    let count = usize::from(message.header().num_required_signatures);
    let signatures = message.static_account_keys()[..count]
        .iter()
        .map(|key| signers.iter().find(|signer| signer.pubkey() == *key).unwrap().sign_message(&bytes))
        .collect();
    VersionedTransaction { signatures, message }
}

pub fn wire(transaction: &VersionedTransaction) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(wincode::serialize(transaction).unwrap())
}

pub fn send(url: &str, transaction: &VersionedTransaction) -> Result<String, Value> {
    ask(url, "sendTransaction", json!([wire(transaction), { "encoding": "base64" }]))
        .map(|signature| signature.as_str().unwrap().into())
}

/// Someone with 100 SOL.
pub fn funded(url: &str) -> Keypair {
    let keypair = Keypair::new();
    get(url, "requestAirdrop", json!([keypair.pubkey().to_string(), 100 * SOL]));
    keypair
}

pub fn transfer(from: &Keypair, to: &Address, lamports: u64) -> Instruction {
    solana_system_interface::instruction::transfer(&from.pubkey(), to, lamports)
}

pub fn balance(url: &str, address: &Address) -> u64 {
    get(url, "getBalance", json!([address.to_string()]))["value"].as_u64().unwrap()
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
