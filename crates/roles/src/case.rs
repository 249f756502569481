//! A claim of the chain as somebody accuses it.

use sip_client::UpdateGraph;
use sip_proof::HostSha256;
use sip_protocol::court::accusation;
use solana_address::Address;

use crate::node::Me;
use crate::view::Seen;
use crate::{Charge, Charged, Claim, Part, Terms, View};

/// Who accuses, of what.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub me: &'a Me,
    pub view: &'a View,
    pub terms: &'a Terms,
    pub claim: Claim,
}

/// The pool that answers for a claim; none of a genesis state.
pub(crate) fn pool_of(view: &View, claim: Claim) -> Option<Address> {
    let round = &view.round_of(claim)?.round;
    let pool = match claim {
        Claim::Genesis => return None,
        Claim::Segment { place, .. } => *round.trainers.get(usize::from(place))?,
        Claim::Run { place, .. } => round.evaluators.get(usize::from(place))?.pool,
        Claim::Vote { place, .. } | Claim::Attestation { auditor: place, .. } => {
            round.auditors.get(usize::from(place))?.pool
        }
    };
    Some(Address::new_from_array(pool))
}

impl<'a> Case<'a> {
    fn seen(&self) -> Option<&'a Seen> {
        self.view.round_of(self.claim)
    }

    /// The pool that answers for the claim; none of a genesis state.
    pub(crate) fn pool(&self) -> Option<Address> {
        pool_of(self.view, self.claim)
    }

    /// The claim with its accounts; of a segment, about this part of it, or about its steps.
    fn charged(&self, part: Option<Part>) -> Option<Charged> {
        if self.claim == Claim::Genesis {
            return Some(Charged::Genesis);
        }
        let (seen, pool) = (self.seen()?, self.pool()?);
        let round = seen.address;
        Some(match self.claim {
            Claim::Genesis => Charged::Genesis,
            Claim::Segment { .. } => {
                let graph = |part: Part| {
                    let case = part.case();
                    let (_, roots, sibling) = self.terms.updates.iter().find(|(other, ..)| *other == case)?;
                    Some(UpdateGraph { case, roots: *roots, sibling: *sibling })
                };
                let part = match part {
                    Some(part) => Some(graph(part)?),
                    None => None,
                };
                Charged::Segment { round, pool, part }
            }
            Claim::Run { .. } => Charged::Run { round, pool },
            Claim::Vote { place, .. } => {
                let segments = seen.accepted();
                let graph = segments.len().checked_sub(1).and_then(|count| self.terms.aggregates.get(count)).copied();
                Charged::Vote { round, pool, place, segments, graph }
            }
            Claim::Attestation { place, auditor, .. } => {
                Charged::Attestation { round, segment: seen.segment(place)?.address, pool, place: auditor }
            }
        })
    }

    /// The case that another wallet has opened.
    pub(crate) fn charge_of(&self, challenger: Address) -> Option<Charge<'a>> {
        let (program, job, datasets) = (&self.view.program, self.view.address, self.view.datasets());
        Some(Charge { program, challenger, job, datasets, charged: self.charged(None)?, salt: [0; 32] })
    }

    /// Our case about a part of the claim.
    pub(crate) fn charge(&self, part: Option<Part>) -> Option<Charge<'a>> {
        let mut charge = Charge { charged: self.charged(part)?, ..self.charge_of(self.me.wallet)? };
        charge.salt = self.me.derived(b"sip.accusation.1", &[charge.dispute().as_array()]);
        Some(charge)
    }

    /// Our dispute on the claim.
    pub(crate) fn dispute(&self) -> Option<Address> {
        Some(self.charge_of(self.me.wallet)?.dispute())
    }

    /// The account that our accusation waits in.
    pub(crate) fn hidden(&self) -> Option<Address> {
        Some(self.charge(None)?.hidden())
    }

    /// Whether a dispute or an accusation of ours waits on the claim.
    pub(crate) fn is_pending(&self) -> bool {
        self.dispute().is_some_and(|dispute| self.view.disputes.contains_key(&dispute))
            || self.hidden().is_some_and(|hidden| self.view.accusations.contains_key(&hidden))
    }

    /// The claim as an accusation sees it.
    pub(crate) fn accused(&self) -> Option<accusation::Claim> {
        let job = &self.view.job;
        if self.claim == Claim::Genesis {
            return Some(accusation::Claim::of_genesis(self.view.address.as_array(), job));
        }
        let seen = self.seen()?;
        let holder = self.pool()?;
        let auditor = |place: u8| {
            let pool = self.view.pools.get(&holder)?;
            Some(accusation::Auditor { job, pool_address: holder.as_array(), pool, place })
        };
        match self.claim {
            Claim::Genesis => None,
            Claim::Segment { place, .. } => {
                let stands = seen.segment(place)?;
                Some(accusation::Claim::of_segment(stands.address.as_array(), &stands.state, &seen.round))
            }
            Claim::Run { place, .. } => {
                let stands = seen.run(place)?;
                Some(accusation::Claim::of_run(stands.address.as_array(), &stands.state, &seen.round))
            }
            Claim::Vote { place, .. } => {
                accusation::Claim::of_vote(seen.address.as_array(), &seen.round, &auditor(place)?).ok()
            }
            Claim::Attestation { place, auditor: by, .. } => {
                let (stands, by) = (seen.segment(place)?, auditor(by)?);
                let address = stands.address.as_array();
                accusation::Claim::of_attestation(address, &stands.state, &seen.round, &by).ok()
            }
        }
    }

    /// Whether an accusation that waits has nothing left to accuse, so that it comes back.
    pub(crate) fn is_moot(&self, waiting: &accusation::Accusation) -> bool {
        let (Some(claim), Some(charge)) = (self.accused(), self.charge(None)) else { return false };
        let (job, challenger) = (charge.job.as_array(), charge.challenger.as_array());
        let reveal = accusation::Reveal { claim: &claim, job, challenger, salt: &charge.salt };
        waiting.is_moot::<HostSha256>(&reveal).unwrap_or(false)
    }
}
