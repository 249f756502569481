//! The instructions of an accusation, case by case: how it is committed, opened, taken back, resolved and paid.

use anyhow::{Context, Result};
use sip_client::{
    Accusation, AttestationAccusation, GenesisAccusation, Hidden, Program, Seat, UpdateGraph, VoteAccusation,
};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::court::accusation;
use solana_address::Address;
use solana_instruction::Instruction;

use super::claim::Claim;
use super::here::{Here, Seen};
use super::record::Part;
use crate::run::round::rule;
use sip_manifest::prepare::Prepared;

/// Who accuses, of what, in which job.
pub(super) struct Case<'a> {
    pub program: &'a Program,
    pub wallet: Address,
    /// Nobody else knows it, and after a restart we still do.
    pub secret: &'a [u8],
    pub job: Address,
    pub here: &'a Here,
    /// The round of the claim; none of a genesis state.
    pub seen: Option<&'a Seen>,
    pub claim: Claim,
    pub prepared: &'a Prepared,
}

impl Case<'_> {
    fn seen(&self) -> Result<&Seen> {
        self.seen.with_context(|| format!("{}: its round is not known", self.claim))
    }

    /// The account that the claim stands in: a segment's, for a vote the round's, for a genesis state the job's.
    pub(super) fn subject(&self) -> Result<Address> {
        let missing = || format!("{}: it has no account", self.claim);
        match self.claim {
            Claim::Genesis => Ok(self.job),
            Claim::Vote { .. } => Ok(self.seen()?.address),
            Claim::Segment { place, .. } | Claim::Attestation { place, .. } => {
                Ok(self.seen()?.segment(place).with_context(missing)?.address)
            }
            Claim::Run { place, .. } => Ok(self.seen()?.run(place).with_context(missing)?.address),
        }
    }

    /// The pool that answers for the claim; none of a genesis state.
    pub(super) fn pool(&self) -> Option<Address> {
        let round = &self.seen?.round;
        let pool = match self.claim {
            Claim::Genesis => return None,
            Claim::Segment { place, .. } => *round.trainers.get(usize::from(place))?,
            Claim::Run { place, .. } => round.evaluators.get(usize::from(place))?.pool,
            Claim::Vote { place, .. } | Claim::Attestation { auditor: place, .. } => {
                round.auditors.get(usize::from(place))?.pool
            }
        };
        Some(Address::new_from_array(pool))
    }

    /// Our dispute on the claim.
    pub(super) fn dispute(&self) -> Result<Address> {
        let subject = self.subject()?;
        Ok(match self.claim {
            Claim::Vote { place, .. } => self.program.auditor_dispute(&subject, &self.wallet, place),
            Claim::Attestation { auditor, .. } => self.program.auditor_dispute(&subject, &self.wallet, auditor),
            _ => self.program.dispute(&subject, &self.wallet),
        })
    }

    fn salt(&self) -> Result<[u8; 32]> {
        Ok(HostSha256::hashv(&[b"sip.accusation.1", self.secret, self.dispute()?.as_array()]))
    }

    /// The seat of the auditor whose claim it is; its wallet does not count here.
    fn seat(&self, place: u8) -> Result<Seat> {
        let pool = self.pool().context("the claim has no pool")?;
        Ok(Seat { operator: self.wallet, pool, place })
    }

    /// The claim as an accusation sees it.
    pub(super) fn accused(&self) -> Result<accusation::Claim> {
        let (job, subject) = (&self.here.job, self.subject()?);
        let auditor = |place: u8| {
            let holder = self.pool().context("the claim has no pool")?;
            let (pool_address, pool) = self.here.auditor(&holder).context("the claim's pool is not known")?;
            Ok::<_, anyhow::Error>(accusation::Auditor { job, pool_address: pool_address.as_array(), pool, place })
        };
        let missing = || format!("{}: it has no account", self.claim);
        Ok(match self.claim {
            Claim::Genesis => accusation::Claim::of_genesis(subject.as_array(), job),
            Claim::Segment { place, .. } => {
                let seen = self.seen()?;
                let stands = seen.segment(place).with_context(missing)?;
                accusation::Claim::of_segment(subject.as_array(), &stands.state, &seen.round)
            }
            Claim::Run { place, .. } => {
                let seen = self.seen()?;
                let stands = seen.run(place).with_context(missing)?;
                accusation::Claim::of_run(subject.as_array(), &stands.state, &seen.round)
            }
            Claim::Vote { place, .. } => {
                let round = &self.seen()?.round;
                accusation::Claim::of_vote(subject.as_array(), round, &auditor(place)?).map_err(rule)?
            }
            Claim::Attestation { place, auditor: by, .. } => {
                let (seen, by) = (self.seen()?, auditor(by)?);
                let segment = &seen.segment(place).with_context(missing)?.state;
                accusation::Claim::of_attestation(subject.as_array(), segment, &seen.round, &by).map_err(rule)?
            }
        })
    }

    /// Place of the auditor whose claim it is, as an accusation names it.
    fn place(&self) -> u8 {
        match self.claim {
            Claim::Vote { place, .. } => place,
            Claim::Attestation { auditor, .. } => auditor,
            _ => accusation::NO_PLACE,
        }
    }

    /// Lets something be made of the accusation before it is opened.
    fn with_hidden<T>(&self, make: impl FnOnce(&Hidden<'_>) -> T) -> Result<T> {
        let (subject, salt) = (self.subject()?, self.salt()?);
        let (challenger, job) = (&self.wallet, &self.job);
        Ok(make(&Hidden { challenger, job, subject: &subject, place: self.place(), salt: &salt }))
    }

    /// The account that the accusation waits in.
    pub(super) fn hidden(&self) -> Result<Address> {
        self.with_hidden(|hidden| self.program.accusation(&self.wallet, &hidden.hash()))
    }

    /// Commits the accusation as a hash.
    pub(super) fn commit(&self) -> Result<Instruction> {
        self.with_hidden(|hidden| self.program.commit_hidden(hidden))
    }

    /// Whether an accusation that waits has nothing left to accuse, so that it comes back.
    pub(super) fn is_moot(&self, waiting: &accusation::Accusation) -> Result<bool> {
        let (claim, salt) = (self.accused()?, self.salt()?);
        let (job, challenger) = (self.job.as_array(), self.wallet.as_array());
        let reveal = accusation::Reveal { claim: &claim, job, challenger, salt: &salt };
        Ok(waiting.is_moot::<HostSha256>(&reveal).unwrap_or(false))
    }

    /// Takes it back.
    pub(super) fn withdraw(&self) -> Result<Instruction> {
        let round = if self.claim == Claim::Genesis { None } else { Some(self.seen()?.address) };
        let auditor = match self.claim {
            Claim::Vote { .. } | Claim::Attestation { .. } => Some(self.pool().context("the claim has no pool")?),
            _ => None,
        };
        self.with_hidden(|hidden| self.program.withdraw_hidden(hidden, round.as_ref(), auditor.as_ref()))
    }

    /// Ends one that was not opened in time.
    pub(super) fn expire(&self) -> Result<Instruction> {
        self.with_hidden(|hidden| self.program.expire_accusation(&self.wallet, &self.job, &hidden.hash()))
    }

    /// Opens it: from here on there is a dispute. Of a segment, about this part of it, or about its steps.
    pub(super) fn open(&self, part: Option<Part>) -> Result<Instruction> {
        let (challenger, job, salt, datasets) = (&self.wallet, &self.job, &self.salt()?, &self.here.datasets());
        Ok(match self.claim {
            Claim::Run { .. } => {
                let (round, pool) = (&self.seen()?.address, &self.pool().context("the claim has no pool")?);
                self.program.open_run_dispute(&Accusation { challenger, job, round, pool, datasets, salt })
            }
            Claim::Segment { .. } => {
                let (round, pool) = (&self.seen()?.address, &self.pool().context("the claim has no pool")?);
                let accusation = Accusation { challenger, job, round, pool, datasets, salt };
                match part {
                    None => self.program.open_dispute(&accusation),
                    Some(part) => {
                        let (updates, case) = (self.prepared.updates.as_ref(), part.case());
                        let opening = updates.and_then(|updates| updates.opening(case));
                        let (roots, sibling) = opening.context("the job exchanges whole states")?;
                        self.program.open_update_dispute(&accusation, &UpdateGraph { case, roots, sibling })
                    }
                }
            }
            Claim::Vote { place, .. } => {
                let segments = &self.seen()?.accepted();
                let (graph, path) = &self.prepared.aggregates.opening(segments.len())?;
                self.program.open_vote_dispute(&VoteAccusation {
                    challenger,
                    job,
                    round: &self.seen()?.address,
                    auditor: &self.seat(place)?,
                    graph,
                    path,
                    segments,
                    salt,
                })
            }
            Claim::Attestation { auditor, .. } => self.program.open_attestation_dispute(&AttestationAccusation {
                challenger,
                job,
                round: &self.seen()?.address,
                segment: &self.subject()?,
                auditor: &self.seat(auditor)?,
                datasets,
                salt,
            }),
            Claim::Genesis => self.program.open_genesis_dispute(&GenesisAccusation { challenger, job, salt }),
        })
    }

    /// Applies the verdict of a dispute that this challenger opened.
    pub(super) fn resolve(&self, challenger: &Address, dispute: &Address) -> Result<Instruction> {
        let pool = || self.pool().context("the claim has no pool");
        Ok(match self.claim {
            Claim::Segment { .. } => {
                self.program.resolve_dispute(challenger, &self.job, &self.seen()?.address, &pool()?)
            }
            Claim::Run { .. } => {
                self.program.resolve_run_dispute(challenger, &self.job, &self.seen()?.address, &pool()?)
            }
            Claim::Vote { .. } | Claim::Attestation { .. } => {
                let round = &self.seen()?.address;
                self.program.resolve_auditor_dispute(challenger, dispute, &self.job, round, &pool()?)
            }
            Claim::Genesis => self.program.resolve_genesis_dispute(challenger, &self.job),
        })
    }
}
