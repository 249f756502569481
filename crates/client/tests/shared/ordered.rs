//! Transactions that land in the same slot, in every order: each permutation on its own copy of the chain; what was refused is tried again
//! afterwards, as its sender would.
#![allow(dead_code, reason = "not every test file asks for everything")]

use sip_ledger::Ledger;
use sip_testing::{Operator, Scene, World};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// What somebody sends in the slot.
pub(crate) struct Sent {
    pub(crate) name: &'static str,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) signer: Keypair,
}

pub(crate) fn sent(name: &'static str, instruction: Instruction, signer: &Keypair) -> Sent {
    Sent { name, instructions: vec![instruction], signer: signer.insecure_clone() }
}

/// What came of one order.
pub(crate) struct End {
    pub(crate) scene: Scene,
    /// The names in their order.
    pub(crate) order: Vec<&'static str>,
    /// Those that were accepted in the slot, as they were.
    pub(crate) accepted: Vec<&'static str>,
}

impl End {
    /// Whether both were accepted, the first before the second.
    pub(crate) fn is_before(&self, first: &str, second: &str) -> bool {
        let place = |name: &str| self.accepted.iter().position(|it| *it == name);
        place(first).zip(place(second)).is_some_and(|(first, second)| first < second)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.accepted.contains(&name)
    }

    pub(crate) fn bond(&self, operator: &Operator) -> u64 {
        self.scene.pool_state(&operator.seat.pool).self_bond
    }
}

fn copy(scene: &Scene) -> Scene {
    let again = |operators: &[Operator]| {
        let copy = |it: &Operator| Operator { key: it.key.insecure_clone(), seat: it.seat, chain: it.chain.clone() };
        operators.iter().map(copy).collect()
    };
    let world = &scene.world;
    Scene {
        world: World {
            ledger: world.ledger.clone(),
            program: world.program,
            authority: world.authority.insecure_clone(),
        },
        job: scene.job,
        trainers: again(&scene.trainers),
        auditors: again(&scene.auditors),
        evaluators: again(&scene.evaluators),
        providers: again(&scene.providers),
        datasets: scene.datasets.clone(),
        patrons: scene.patrons.iter().map(Keypair::insecure_clone).collect(),
    }
}

fn send(scene: &mut Scene, sent: &Sent) -> bool {
    let authority = scene.world.authority.insecure_clone();
    let signers: Vec<&Keypair> = match sent.signer.pubkey() == authority.pubkey() {
        true => vec![&authority],
        false => vec![&authority, &sent.signer],
    };
    let is_accepted = scene.world.ledger.send(&sent.instructions, &authority, &signers).is_ok();
    scene.world.check_conservation();
    is_accepted
}

/// All orders of so many.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(count - 1) {
        for place in 0..count {
            let mut order = shorter.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}

/// Plays every order; what is refused is tried again in the same slot until nothing more is accepted, and once more a slot later.
pub(crate) fn play(scene: &Scene, all: &[Sent], mut judge: impl FnMut(End)) {
    for order in permutations(all.len()) {
        let mut scene = copy(scene);
        let begin = scene.world.ledger.slot();
        let mut accepted = Vec::new();
        for _ in 0..all.len() {
            for at in order.iter().filter(|at| !accepted.contains(&all[**at].name)).copied().collect::<Vec<_>>() {
                if send(&mut scene, &all[at]) {
                    accepted.push(all[at].name);
                }
            }
        }
        assert_eq!(scene.world.ledger.slot(), begin, "all of it is one slot");
        scene.world.advance(1);
        for at in order.iter().filter(|at| !accepted.contains(&all[**at].name)).copied().collect::<Vec<_>>() {
            send(&mut scene, &all[at]);
        }
        judge(End { scene, order: order.iter().map(|at| all[*at].name).collect(), accepted });
    }
}
