//! Accounts from any bytes: decoding never panics, and liabilities are those of the decoded account.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_client::{kind_of, liabilities, refusal};
use sip_protocol::{Account, AccountKind, admin::config::Config, training::{data::Dataset, evaluation::ScoringRun, job::Job, round::Round, segment::Segment}, court::{Dispute, accusation::Accusation, availability::Demand}, money::{epoch::EmissionAccount, fees::Fees}, network::peer::Peer, stake::{pool::Pool, position::{Position, Ticket}, steering::Vote}};

/// Bytes as an account of one type: as they are, and cut or filled up to its size under its header.
fn check<T: Account>(bytes: &[u8]) {
    if let Ok(account) = T::decode(bytes) {
        assert_eq!(bytemuck::bytes_of(&account), bytes);
        assert_eq!(kind_of(bytes), Some(T::KIND));
        assert_eq!(liabilities([bytes]), account.liabilities());
    } else if kind_of(bytes) == Some(T::KIND) {
        assert!(liabilities([bytes]).is_err(), "money in an account that does not decode");
    }
    let mut data = vec![0u8; T::SIZE];
    let len = bytes.len().min(T::SIZE);
    data[..len].copy_from_slice(&bytes[..len]);
    data[0] = T::KIND as u8;
    data[1] = T::KIND.version();
    let account = T::decode(&data).expect("size, kind and version are right");
    assert_eq!(bytemuck::bytes_of(&account), data);
    let owed = account.liabilities();
    assert_eq!(liabilities([&data[..]]), owed);
    let twice = owed.and_then(|owed| owed.checked_add(owed).ok_or(sip_protocol::Error::Overflow));
    assert_eq!(liabilities([&data[..], &data[..]]), twice);
    assert!(T::decode(&data[1..]).is_err());
}

/// What an account offers that only reads, whatever its fields hold.
fn read(bytes: &[u8]) {
    if let Ok(dispute) = Dispute::decode(bytes) {
        let game = &dispute.game;
        let _ = (game.phase(), game.outcome(), game.on_move(), game.table().len(), game.subtree());
        for slot in [0, 1, 255, 512, u32::MAX] {
            let _ = game.operand_place(slot);
        }
        let _ = (game.ground.leaf_count(), game.ground.leaf_steps(game.leaf));
    }
    if let Ok(demand) = Demand::decode(bytes) {
        let _ = demand.chunk_answered();
    }
    if let Ok(peer) = Peer::decode(bytes) {
        let contact = &peer.contact;
        let _ = (contact.url(), contact.sockets().count(), contact.check());
    }
    if let Ok(pool) = Pool::decode(bytes) {
        let _ = (pool.stake(), pool.held());
    }
    if let Ok(job) = Job::decode(bytes) {
        let _ = (job.spec.check(), job.chain.head());
    }
    if let Ok(config) = Config::decode(bytes) {
        let _ = config.parameters.check();
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = (kind_of(bytes), liabilities([bytes]));
    check::<Config>(bytes);
    check::<Pool>(bytes);
    check::<Position>(bytes);
    check::<Ticket>(bytes);
    check::<Dataset>(bytes);
    check::<Job>(bytes);
    check::<Round>(bytes);
    check::<Segment>(bytes);
    check::<ScoringRun>(bytes);
    check::<Dispute>(bytes);
    check::<Accusation>(bytes);
    check::<Demand>(bytes);
    check::<EmissionAccount>(bytes);
    check::<Fees>(bytes);
    check::<Vote>(bytes);
    check::<Peer>(bytes);
    read(bytes);
    let mut dispute = vec![0u8; Dispute::SIZE];
    let len = bytes.len().min(Dispute::SIZE);
    // From the end of the header on, so that short inputs reach the game.
    let start = if len < Dispute::SIZE / 2 { 192 + 700 } else { 0 };
    let len = len.min(Dispute::SIZE - start);
    dispute[start..start + len].copy_from_slice(&bytes[..len]);
    dispute[..2].copy_from_slice(&[Dispute::KIND as u8, Dispute::KIND.version()]);
    read(&dispute);
    for kind in [Pool::KIND as u8, Job::KIND as u8, Config::KIND as u8] {
        let size = match kind {
            2 => Pool::SIZE,
            6 => Job::SIZE,
            _ => Config::SIZE,
        };
        let mut data = vec![0u8; size];
        let len = bytes.len().min(size);
        data[..len].copy_from_slice(&bytes[..len]);
        let version = kind_of(&[kind]).map_or(1, AccountKind::version);
        data[..2].copy_from_slice(&[kind, version]);
        read(&data);
    }
    if let Some(code) = bytes.first_chunk() {
        let _ = refusal(u32::from_le_bytes(*code));
    }
});
