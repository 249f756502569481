//! For whom a wallet acts: the pools that it operates, and those whose session key it is and which it was told to serve. Every role asks here, and nowhere else.
//!
//! A session key does a pool's work until its slot, and moves no money: see [`sip_protocol::stake::session`]. Anyone may name anyone's key, so that a name alone
//! obliges to nothing: who runs a machine says for which pools of others it works.

use sip_client::{Party, Seat};
use sip_protocol::Error;
use sip_protocol::court::{Dispute, Side};
use sip_protocol::ground::clock::session_waits_slots;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::seats::{self, Seat as Place};
use solana_address::Address;

use crate::case::pool_of;
use crate::{Claim, View};

/// Whether a wallet operates a pool, or is its session key, be the session over or not.
pub fn is_named_in(pool: &Pool, wallet: &Address) -> bool {
    !pool.is_attention() && (pool.scope == wallet.to_bytes() || pool.session_key == wallet.to_bytes())
}

/// A defence that a session key cannot play yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The dispute.
    pub dispute: Address,
    /// The slot from which on the key moves.
    pub from_slot: u64,
}

impl View {
    /// Whether a pool is the wallet's to see to: it operates it, or was told to serve it and is its session key, be the session over or not.
    pub fn serves(&self, wallet: &Address, pool: &Address) -> bool {
        let is_accepted = |state: &Pool| state.scope == wallet.to_bytes() || self.served.contains(pool);
        self.pools.get(pool).is_some_and(|state| is_named_in(state, wallet) && is_accepted(state))
    }

    /// Whether a wallet may sign for a pool's work in this slot.
    pub fn may_work(&self, wallet: &Address, pool: &Address) -> bool {
        let is_worker = |state: &Pool| state.is_worker(wallet.as_array(), self.slot);
        self.serves(wallet, pool) && self.pools.get(pool).is_some_and(|state| is_worker(state))
    }

    /// Pools of others that name the wallet's key, and which it was not told to serve.
    pub fn unserved(&self, wallet: &Address) -> impl Iterator<Item = (&Address, &Pool)> {
        let is_named = |pool: &Pool| is_named_in(pool, wallet) && pool.session_until_slot > self.slot;
        let pools = self.pools.iter().map(|(address, pool)| (address, &**pool));
        pools.filter(move |(address, pool)| is_named(pool) && !self.serves(wallet, address))
    }

    /// Whether what stands in an operator's name, and a pool's, is the wallet's to see to.
    pub fn is_for(&self, wallet: &Address, operator: &[u8; 32], pool: &[u8; 32]) -> bool {
        wallet.as_array() == operator || self.serves(wallet, &Address::new_from_array(*pool))
    }

    /// Whether a wallet may answer, in this slot, for what stands in an operator's name, and a pool's.
    pub fn may_answer(&self, wallet: &Address, operator: &[u8; 32], pool: &[u8; 32]) -> bool {
        wallet.as_array() == operator || self.may_work(wallet, &Address::new_from_array(*pool))
    }

    /// Whether the wallet answers for a claim, as its maker or in its maker's place.
    pub fn answers_for(&self, wallet: &Address, claim: Claim) -> bool {
        let Some(maker) = self.maker(claim) else { return false };
        let pool = pool_of(self, claim).unwrap_or_default();
        self.is_for(wallet, &maker, pool.as_array())
    }

    /// The places of a role that are taken, in the job.
    pub fn places(&self, kind: PoolKind) -> impl Iterator<Item = (u8, &Place)> {
        let places = match kind {
            PoolKind::Trainer => &self.job.trainers[..],
            PoolKind::Auditor => &self.job.auditors[..],
            PoolKind::Evaluator => &self.job.evaluators[..],
            _ => &[],
        };
        (0u8..).zip(places).filter(|(_, place)| place.state != seats::FREE)
    }

    /// The seats of a role that a wallet sees to, as their operator or by a session; whether it may sign for them now is another question. The wallet stands in them as
    /// the one who signs.
    pub fn seats(&self, kind: PoolKind, wallet: &Address) -> Vec<Seat> {
        let seat = |(place, held): (u8, &Place)| {
            let pool = Address::new_from_array(held.pool);
            self.serves(wallet, &pool).then_some(Seat { operator: *wallet, pool, place })
        };
        self.places(kind).filter_map(seat).collect()
    }

    /// Who moves in the defence of a dispute, where it is the wallet; or the slot from which on it may.
    pub(crate) fn defender(&self, wallet: &Address, dispute: &Dispute) -> Option<Result<Party, u64>> {
        if dispute.defendant == wallet.to_bytes() {
            return Some(Ok(wallet.into()));
        }
        let pool = Address::new_from_array(dispute.pool);
        let state = self.pools.get(&pool).filter(|_| self.serves(wallet, &pool))?;
        match dispute.side_of_worker(wallet.as_array(), pool.as_array(), state, self.slot) {
            Ok(_) => Some(Ok(Party { wallet: *wallet, pool: Some(pool) })),
            Err(Error::SessionWaits) => {
                Some(Err(dispute.opened_slot.saturating_add(session_waits_slots(dispute.full_clock_slots))))
            }
            Err(_) => None,
        }
    }

    /// Defences in which the wallet is on move and has to wait, since it signs by a session.
    pub fn waiting_defences(&self, wallet: &Address) -> Vec<Waiting> {
        let is_ours = |dispute: &Dispute| dispute.resolved == 0 && dispute.game.on_move() == Ok(Side::Trainer);
        let open = self.disputes.iter().filter(|(_, dispute)| is_ours(dispute));
        let waits = open.filter_map(|(address, dispute)| match self.defender(wallet, dispute)? {
            Ok(_) => None,
            Err(from_slot) => Some(Waiting { dispute: *address, from_slot }),
        });
        waits.collect()
    }
}
