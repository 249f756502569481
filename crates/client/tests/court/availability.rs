//! Demands for what was committed: answered, answered wrongly, left unanswered.

use sip_client::StateDemand;
use sip_node::availability::{data_answer, state_answer};
use sip_proof::merkle::MerkleTree;
use sip_proof::{BlobTree, Hash};
use sip_protocol::{
    Error,
    admin::config::Parameters,
    court::availability::{ANSWERED, Demand, FAILED, HELD_OUT_TOKENS, MAX_OPEN_DEMANDS, TRAINING_TOKENS},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS, offence::Slash, units::TOKEN},
    stake::pool::Pool,
    training::{
        data::Dataset,
        round,
        segment::{CONVICTED, SegmentClaim},
    },
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, Scene, WALLET_TOKENS, scores};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

const FULL: u64 = WALLET_TOKENS * TOKEN;
const FEE: u64 = Parameters::DEFAULT.dispute_bond / 100;

/// A round in which trainer 0 committed a real end state of nine entries of these lengths, and everyone else something made up.
struct Library {
    scene: Scene,
    entries: Vec<Vec<u8>>,
    roots: Vec<Hash>,
    reader: Keypair,
    round: Address,
}

impl Library {
    fn new() -> Library {
        let lengths = [0usize, 4, 1024, 1028, 3 * 1024, 5000, 17 * 1024, 33_000, 64 * 1024];
        let entries: Vec<Vec<u8>> =
            lengths.iter().enumerate().map(|(n, len)| (0..*len).map(|i| (i * 7 + n) as u8).collect()).collect();
        let roots: Vec<Hash> = entries.iter().map(|entry| BlobTree::new(entry).root()).collect();
        let mut cast = Cast::default();
        cast.spec.challenge_slots = 20_000;
        let mut scene = Scene::with(&cast);
        scene.open_round();
        let claim = SegmentClaim { end_root: MerkleTree::new(&roots).root(), ..scene.claim(0) };
        scene.commit_claim(0, &claim);
        scene.commit(1);
        scene.commit(2);
        scene.close_commits();
        let reader = scene.world.wallet("reader");
        let round = scene.round();
        Library { scene, entries, roots, reader, round }
    }

    fn pool(&self) -> Address {
        self.scene.trainers[0].seat.pool
    }

    fn demand(&self, entry: u32, chunk: u32) -> Address {
        self.scene.world.program.demand(&self.scene.segment(0), &self.reader.pubkey(), entry, chunk)
    }

    fn with(&self, entry: u32, chunk: u32, make: impl FnOnce(&StateDemand<'_>) -> Instruction) -> Instruction {
        make(&StateDemand {
            demander: &self.reader.pubkey(),
            job: &self.scene.job,
            round: &self.round,
            pool: &self.pool(),
            entry,
            chunk,
        })
    }

    fn ask(&mut self, entry: u32, chunk: u32) -> Address {
        let ask = self.with(entry, chunk, |demand| self.scene.world.program.demand_state(demand));
        self.scene.world.send(&[ask], &[&self.reader]);
        self.demand(entry, chunk)
    }

    fn answer(&self, entry: u32, chunk: u32, answer: &[u8]) -> Vec<Instruction> {
        let trainer = self.scene.trainers[0].seat.operator;
        let demand = self.demand(entry, chunk);
        self.scene.world.program.answer_state(&trainer, &demand, &self.round, &self.pool(), answer)
    }

    fn truth(&self, entry: u32, chunk: u32) -> Vec<u8> {
        state_answer(&self.roots, entry, &self.entries[entry as usize], chunk).unwrap()
    }

    /// Sends all but the last part, which must be refused.
    fn refused(&mut self, entry: u32, chunk: u32, answer: &[u8], expected: Error) {
        let key = self.scene.trainers[0].key.insecure_clone();
        let mut parts = self.answer(entry, chunk, answer);
        let last = parts.pop().unwrap();
        self.scene.world.advance(1);
        for part in parts {
            self.scene.world.send(&[part], &[&key]);
        }
        self.scene.world.refused(&[last], &[&key], expected);
    }
}

#[test]
fn every_chunk_of_a_state_is_answered_by_an_opening() {
    let mut library = Library::new();
    let key = library.scene.trainers[0].key.insecure_clone();
    let mut asked = 0;
    let mut most = 0;
    for entry in 0..9u32 {
        let chunks = BlobTree::new(&library.entries[entry as usize]).chunks();
        // The last one of those asked for does not exist: the last chunk shows that.
        for chunk in [0, chunks / 2, chunks - 1, chunks + 3] {
            if library.scene.world.ledger.account(&library.demand(entry, chunk)).is_some() {
                continue;
            }
            let demand = library.ask(entry, chunk);
            asked += 1;
            assert_eq!(library.scene.pool_state(&library.pool()).open_disputes, 1);
            for part in library.answer(entry, chunk, &library.truth(entry, chunk)) {
                let receipt = library.scene.world.send(&[part], &[&key]);
                most = most.max(receipt.compute_units);
            }
            let state: Demand = library.scene.world.state(&demand);
            let start = chunk.min(chunks - 1) as usize * 1024;
            let blob = &library.entries[entry as usize];
            assert_eq!(state.chunk_answered().unwrap(), &blob[start..(start + 1024).min(blob.len())]);
            assert_eq!((state.status, state.chunks, state.fee), (ANSWERED, chunks, 0));
        }
    }
    println!("an answer takes at most {most} compute units");
    let pool = library.scene.pool_state(&library.pool());
    // Without delegators the fees are the operator's, but for the seed's share.
    assert!(pool.commission_owed + pool.rewards_owed == asked * FEE / 2 && pool.open_disputes == 0);
    assert_eq!(library.scene.world.config().buckets.insurance, asked * FEE / 2);
    assert_eq!(library.scene.segment_state(0).open_disputes, 0);
    assert_eq!(library.scene.world.tokens(&library.reader.pubkey()), FULL - asked * FEE);
}

#[test]
fn what_is_not_the_chunk_is_no_answer() {
    let mut library = Library::new();
    let (entry, chunk) = (6, 9);
    library.ask(entry, chunk);
    let truth = library.truth(entry, chunk);
    let depth = 4 * 32;
    for (place, expected) in [
        (8, Error::HashMismatch),               // the entry's root
        (40, Error::HashMismatch),              // its path
        (40 + depth + 5, Error::HashMismatch),  // the chunk
        (truth.len() - 1, Error::HashMismatch), // its path
        (6, Error::WrongPayload),               // the chunk's length
        (1, Error::WrongPayload),               // the number of chunks
    ] {
        let mut wrong = truth.clone();
        wrong[place] ^= 4;
        library.refused(entry, chunk, &wrong, expected);
    }
    // Another chunk, another entry, a shorter tree that ends before the chunk, a part of the answer, an empty one.
    library.refused(entry, chunk, &library.truth(entry, 8), Error::HashMismatch);
    library.refused(entry, chunk, &library.truth(5, 2), Error::HashMismatch);
    let shorter = state_answer(&library.roots, entry, &library.entries[entry as usize][..8 * 1024], 7).unwrap();
    library.refused(entry, chunk, &shorter, Error::HashMismatch);
    library.refused(entry, chunk, &truth[..truth.len() - 32], Error::WrongPayload);
    library.refused(entry, chunk, &[truth.as_slice(), &[0; 32]].concat(), Error::WrongPayload);
    library.refused(entry, chunk, &[], Error::WrongPayload);
    let mut none = truth.clone();
    none[..4].fill(0);
    library.refused(entry, chunk, &none, Error::WrongPayload);
    none[..4].fill(255);
    library.refused(entry, chunk, &none, Error::WrongPayload);
    // Only the trainer writes, and within the buffer.
    let stranger = library.scene.world.wallet("stranger");
    let demand = library.demand(entry, chunk);
    let program = library.scene.world.program;
    for part in program.answer_state(&stranger.pubkey(), &demand, &library.round, &library.pool(), &truth) {
        library.scene.world.refused(&[part], &[&stranger], Error::NotParty);
    }
    let key = library.scene.trainers[0].key.insecure_clone();
    for offset in [3_079u32, 10_000, u32::MAX] {
        let mut past = library.answer(entry, chunk, &truth)[0].clone();
        past.data[1..5].copy_from_slice(&offset.to_le_bytes());
        library.scene.world.refused(&[past], &[&key], Error::PastBuffer);
    }
    let mut unsigned = library.answer(entry, chunk, &truth)[0].clone();
    unsigned.accounts[0].is_signer = false;
    library.scene.crank_refused(unsigned, Error::MissingSigner);
    // The accounts of another segment or pool.
    let mut parts = library.answer(entry, chunk, &truth);
    let last = parts.pop().unwrap();
    for part in parts {
        library.scene.world.send(&[part], &[&key]);
    }
    for (place, account) in [(3, library.scene.segment(1)), (4, library.scene.trainers[1].seat.pool)] {
        let mut elsewhere = last.clone();
        elsewhere.accounts[place].pubkey = account;
        library.scene.world.refused(&[elsewhere], &[&key], Error::WrongAccount);
    }
    library.scene.world.send(std::slice::from_ref(&last), &[&key]);
    library.scene.world.advance(1);
    library.scene.world.refused(&[last], &[&key], Error::DemandOver);
}

#[test]
fn silence_convicts_and_undoes_the_round() {
    let mut library = Library::new();
    for auditor in 0..2 {
        library.scene.reveal(auditor);
        for trainer in 0..3 {
            library.scene.attest(auditor, trainer);
        }
    }
    library.scene.close_round();
    library.scene.to_aggregated();
    let demand = library.ask(6, 9);
    let fail = library.with(6, 9, |demand| library.scene.world.program.fail_state(demand));
    let slots = library.scene.world.config().parameters.clock_slots;
    library.scene.world.advance(slots);
    library.scene.crank_refused(fail.clone(), Error::ClockRunning);
    let close = library.scene.world.program.close_demand(&library.reader.pubkey(), &demand);
    library.scene.world.refused(std::slice::from_ref(&close), &[&library.reader], Error::DemandRunning);
    library.scene.world.advance(1);
    let key = library.scene.trainers[0].key.insecure_clone();
    let late = library.answer(6, 9, &library.truth(6, 9)).remove(0);
    library.scene.world.refused(&[late], &[&key], Error::ClockRunOut);
    library.scene.crank(fail.clone());
    library.scene.world.advance(1);
    library.scene.crank_refused(fail, Error::DemandOver);
    assert_eq!(library.scene.world.state::<Demand>(&demand).status, FAILED);
    let segment = library.scene.segment_state(0);
    assert_eq!((segment.status, segment.open_disputes, segment.open_demands), (CONVICTED, 0, 0));
    // Who asked in vain has its fee back and five more; a bounty it has not: that waits for an accusation.
    let escrow = segment.escrow;
    assert_eq!((escrow.bounty, escrow.challenger), ((SLICE - 5 * FEE) / 2, [0; 32]));
    assert_eq!(library.scene.round_state().status, round::VOID);
    assert_eq!(library.scene.world.tokens(&library.reader.pubkey()), FULL + 5 * FEE);
    let claim = library.scene.world.program.claim_bounty(&library.scene.segment(0), &library.reader.pubkey());
    library.scene.world.advance(REVEAL_SLOTS + 1);
    library.scene.crank_refused(claim, Error::BountyHeld);
    let before = library.scene.world.ledger.account(&library.reader.pubkey()).unwrap().lamports;
    let rent = library.scene.world.ledger.account(&demand).unwrap().lamports;
    let stranger = library.scene.world.wallet("stranger");
    let mut theirs = close.clone();
    theirs.accounts[0].pubkey = stranger.pubkey();
    library.scene.world.refused(&[theirs], &[&stranger], Error::NotParty);
    let receipt = library.scene.world.send(&[close], &[&library.reader]);
    let after = library.scene.world.ledger.account(&library.reader.pubkey()).unwrap().lamports;
    assert_eq!(after, before + rent - receipt.fee_lamports);
}

#[test]
fn demands_are_bounded_and_end_with_the_time_to_challenge() {
    let mut library = Library::new();
    let program = library.scene.world.program;
    for (entry, chunk) in [(9, 0), (u32::MAX, 0)] {
        let nothing = library.with(entry, chunk, |demand| program.demand_state(demand));
        library.scene.world.refused(&[nothing], &[&library.reader], Error::NothingThere);
    }
    for chunk in 0..MAX_OPEN_DEMANDS as u32 {
        library.ask(8, chunk);
    }
    // One who fills the places pays ever more for them.
    let paid = FULL - library.scene.world.tokens(&library.reader.pubkey());
    assert_eq!(paid, (1..=MAX_OPEN_DEMANDS as u64).sum::<u64>() * FEE);
    let one_more = library.with(8, 100, |demand| program.demand_state(demand));
    library.scene.world.refused(std::slice::from_ref(&one_more), &[&library.reader], Error::TooManyDemands);
    let again = library.with(8, 0, |demand| program.demand_state(demand));
    library.scene.world.refused(&[again], &[&library.reader], Error::AlreadyInitialised);
    let key = library.scene.trainers[0].key.insecure_clone();
    for part in library.answer(8, 3, &library.truth(8, 3)) {
        library.scene.world.send(&[part], &[&key]);
    }
    library.scene.world.send(&[one_more], &[&library.reader]);
    let deadline = library.scene.round_state().final_slot();
    library.scene.advance_to(deadline);
    let late = library.with(8, 101, |demand| program.demand_state(demand));
    library.scene.world.refused(&[late], &[&library.reader], Error::WrongRoundStatus);
}

#[test]
fn a_state_is_demanded_in_the_last_slot_in_which_its_segment_can_be_accused_and_no_later() {
    let mut library = Library::new();
    library.scene.to_closed();
    library.scene.to_aggregated();
    library.scene.to_scored(&[scores(5_000_000); 3]);
    let last = library.scene.round_state().accusable_until(CaseKind::Segment);
    library.scene.advance_to(last);
    library.ask(8, 0);
    library.scene.world.advance(1);
    let late = library.with(8, 1, |demand| library.scene.world.program.demand_state(demand));
    library.scene.world.refused(&[late], &[&library.reader], Error::WrongRoundStatus);
    // Its clock holds finality up, and silence convicts.
    let demand: Demand = library.scene.world.state(&library.demand(8, 0));
    library.scene.advance_to(demand.deadline_slot + 1);
    let fail = library.with(8, 0, |demand| library.scene.world.program.fail_state(demand));
    library.scene.crank(fail);
    assert_eq!(library.scene.segment_state(0).status, CONVICTED);
}

/// Attack: give the tokens held out to evaluators of one's own alone, so that nobody can replay their scores.
#[test]
fn a_provider_answers_for_what_it_held_out_as_well() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let tokens: Vec<u8> = (0..10_000u32).flat_map(|token| (token * 17 % 4096).to_le_bytes()).collect();
    let (address, pool) = (scene.datasets[0], scene.providers[0].seat.pool);
    let dataset: Dataset = scene.world.state(&address);
    let (held_out_root, held_out_tokens) = (BlobTree::new(&tokens).root(), tokens.len() as u64 / 4);
    scene.world.overwrite(&address, &Dataset { held_out_root, held_out_tokens, ..dataset });
    let reader = scene.world.wallet("reader");
    let (wallet, provider) = (reader.pubkey(), scene.providers[0].key.insecure_clone());
    let last = (tokens.len() as u32).div_ceil(1024) - 1;
    for beyond in [[HELD_OUT_TOKENS, last + 1], [2, 0]] {
        let demand = program.demand_part(&wallet, &address, &pool, beyond);
        scene.world.refused(&[demand], &[&reader], Error::NothingThere);
    }
    // The same chunk of both parts is two demands; each is answered by its own part only.
    for part in [TRAINING_TOKENS, HELD_OUT_TOKENS] {
        scene.world.send(&[program.demand_part(&wallet, &address, &pool, [part, last])], &[&reader]);
    }
    let answer = data_answer(&tokens, last).unwrap();
    let demand = program.demand(&address, &wallet, HELD_OUT_TOKENS, last);
    for part in program.answer_data(&provider.pubkey(), &demand, &address, &pool, &answer) {
        scene.world.send(&[part], &[&provider]);
    }
    let state: Demand = scene.world.state(&demand);
    assert_eq!(state.chunk_answered().unwrap(), &tokens[last as usize * 1024..]);
    // Silence about what is held out costs what silence costs.
    let bond = scene.world.state::<Pool>(&pool).self_bond;
    scene.world.send(&[program.demand_part(&wallet, &address, &pool, [HELD_OUT_TOKENS, 0])], &[&reader]);
    let slots = scene.world.config().parameters.clock_slots;
    scene.world.advance(slots + 1);
    scene.crank(program.fail_part(&wallet, &address, &pool, [HELD_OUT_TOKENS, 0]));
    assert_eq!(scene.world.state::<Pool>(&pool).self_bond, bond / 10 * 9);
}

#[test]
fn a_provider_answers_for_its_tokens_or_loses_a_tenth() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let tokens: Vec<u8> = (0..100_000u32).flat_map(|token| (token * 31 % 4096).to_le_bytes()).collect();
    let (address, pool) = (scene.datasets[0], scene.providers[0].seat.pool);
    let dataset: Dataset = scene.world.state(&address);
    scene.world.overwrite(&address, &Dataset { train_root: BlobTree::new(&tokens).root(), ..dataset });
    let reader = scene.world.wallet("reader");
    let (wallet, provider) = (reader.pubkey(), scene.providers[0].key.insecure_clone());
    let last = (tokens.len() as u32).div_ceil(1024) - 1;
    let beyond = program.demand_data(&wallet, &address, &pool, last + 1);
    scene.world.refused(&[beyond], &[&reader], Error::NothingThere);
    for chunk in [0, 77, last] {
        scene.world.send(&[program.demand_data(&wallet, &address, &pool, chunk)], &[&reader]);
        let demand = program.demand(&address, &wallet, 0, chunk);
        let answer = data_answer(&tokens, chunk).unwrap();
        let mut wrong = answer.clone();
        wrong[3] ^= 1;
        let parts = program.answer_data(&provider.pubkey(), &demand, &address, &pool, &wrong);
        let (refused, uploads) = parts.split_last().unwrap();
        for part in uploads {
            scene.world.send(std::slice::from_ref(part), &[&provider]);
        }
        scene.world.refused(std::slice::from_ref(refused), &[&provider], Error::HashMismatch);
        for part in program.answer_data(&provider.pubkey(), &demand, &address, &pool, &answer) {
            scene.world.send(&[part], &[&provider]);
        }
        let state: Demand = scene.world.state(&demand);
        let start = chunk as usize * 1024;
        assert_eq!(state.chunk_answered().unwrap(), &tokens[start..(start + 1024).min(tokens.len())]);
    }
    assert_eq!(scene.world.tokens(&wallet), FULL - 3 * FEE);
    scene.world.send(&[program.demand_data(&wallet, &address, &pool, 5)], &[&reader]);
    let fail = program.fail_data(&wallet, &address, &pool, 5);
    scene.crank_refused(fail.clone(), Error::ClockRunning);
    let slots = scene.world.config().parameters.clock_slots;
    scene.world.advance(slots + 1);
    scene.crank(fail.clone());
    scene.world.advance(1);
    scene.crank_refused(fail, Error::DemandOver);
    let state: Pool = scene.world.state(&pool);
    assert_eq!((state.self_bond, state.open_disputes), (BOND_TOKENS * TOKEN / 10 * 9, 0));
    // A tenth of the own bond and of the seed, and half of three fees.
    assert_eq!(scene.world.config().buckets.insurance, BOND_TOKENS * TOKEN / 10 + 100 + 3 * FEE / 2);
    assert_eq!(scene.world.state::<Dataset>(&address).open_demands, 0);
    // Half of the fee is burned.
    assert_eq!(scene.world.tokens(&wallet), FULL - 3 * FEE - FEE / 2);
    assert_eq!(scene.world.config().condemned, FEE / 2);
}

/// A change applies to what begins after it: who did not answer in time pays what it would have paid when it was asked.
#[test]
fn a_providers_silence_costs_what_the_table_said_when_it_was_asked() {
    for is_asked_before in [true, false] {
        let mut scene = Scene::new();
        let program = scene.world.program;
        let (address, pool) = (scene.datasets[0], scene.providers[0].seat.pool);
        let reader = scene.world.wallet("reader");
        let demand = program.demand_data(&reader.pubkey(), &address, &pool, 0);
        if is_asked_before {
            scene.world.send(std::slice::from_ref(&demand), &[&reader]);
        }
        let mut parameters = scene.world.config().parameters;
        parameters.penalties.unavailable_data = Slash { bond_bps: 5_000, delegated_bps: 5_000 };
        scene.world.set_parameters(&parameters);
        if !is_asked_before {
            scene.world.send(&[demand], &[&reader]);
        }
        scene.world.advance(parameters.clock_slots + 1);
        scene.crank(program.fail_data(&reader.pubkey(), &address, &pool, 0));
        let left = if is_asked_before { 9_000 } else { 5_000 };
        assert_eq!(scene.world.state::<Pool>(&pool).self_bond, BOND_TOKENS * TOKEN / 10_000 * left);
    }
}
