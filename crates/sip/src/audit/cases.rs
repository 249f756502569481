//! The instructions of an accusation, case by case: how it is committed, opened, taken back, resolved and paid.

use anyhow::{Context, Result};
use sip_client::{Accusation, Attested, Program, Seat, VoteAccusation};
use sip_node::Aggregates;
use sip_proof::{HostSha256, Sha256};
use solana_address::Address;
use solana_instruction::Instruction;

use super::claim::Claim;
use super::here::{Here, Seen};

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
    pub aggregates: &'a Aggregates,
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
        let job = &self.here.job;
        let (pools, place) = match self.claim {
            Claim::Genesis => return None,
            Claim::Segment { place, .. } => (&job.trainers, place),
            Claim::Run { place, .. } => (&job.evaluators, place),
            Claim::Vote { place, .. } => (&job.auditors, place),
            Claim::Attestation { auditor, .. } => (&job.auditors, auditor),
        };
        pools.get(usize::from(place)).copied().map(Address::new_from_array)
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

    /// The accusation of a segment or a scoring run.
    fn with_segment<T>(&self, make: impl FnOnce(&Accusation<'_>) -> T) -> Result<T> {
        let datasets = self.here.datasets();
        let accusation = Accusation {
            challenger: &self.wallet,
            job: &self.job,
            round: &self.seen()?.address,
            pool: &self.pool().context("the claim has no pool")?,
            datasets: &datasets,
            salt: &self.salt()?,
        };
        Ok(make(&accusation))
    }

    /// The account that the accusation waits in; none where it is opened at once.
    pub(super) fn hidden(&self) -> Result<Option<Address>> {
        let (Claim::Segment { .. } | Claim::Run { .. }) = self.claim else { return Ok(None) };
        let subject = self.subject()?;
        let hash = self.with_segment(|accusation| accusation.hash(&subject))?;
        Ok(Some(self.program.accusation(&self.wallet, &hash)))
    }

    /// Commits the accusation as a hash.
    pub(super) fn commit(&self) -> Result<Instruction> {
        self.with_segment(|accusation| self.program.commit_accusation(accusation))
    }

    /// Takes it back.
    pub(super) fn withdraw(&self) -> Result<Instruction> {
        self.with_segment(|accusation| self.program.withdraw_accusation(accusation))
    }

    /// Ends one that was not opened in time.
    pub(super) fn expire(&self) -> Result<Instruction> {
        let subject = self.subject()?;
        let hash = self.with_segment(|accusation| accusation.hash(&subject))?;
        Ok(self.program.expire_accusation(&self.wallet, &hash))
    }

    /// Opens it: from here on there is a dispute.
    pub(super) fn open(&self) -> Result<Instruction> {
        match self.claim {
            Claim::Segment { .. } | Claim::Run { .. } => {
                self.with_segment(|accusation| self.program.open_dispute(accusation))
            }
            Claim::Vote { place, .. } => {
                let seen = self.seen()?;
                let segments = seen.accepted();
                let (graph, path) = self.aggregates.opening(segments.len())?;
                Ok(self.program.open_vote_dispute(&VoteAccusation {
                    challenger: &self.wallet,
                    job: &self.job,
                    round: &seen.address,
                    auditor: &self.seat(place)?,
                    graph: &graph,
                    path: &path,
                    segments: &segments,
                }))
            }
            Claim::Attestation { auditor, .. } => {
                let attested = Attested {
                    job: &self.job,
                    round: &self.seen()?.address,
                    segment: &self.subject()?,
                    auditor: &self.seat(auditor)?,
                };
                Ok(self.program.open_attestation_dispute(&self.wallet, &attested, &self.here.datasets()))
            }
            Claim::Genesis => Ok(self.program.open_genesis_dispute(&self.wallet, &self.job)),
        }
    }

    /// Applies the verdict of a dispute that this challenger opened.
    pub(super) fn resolve(&self, challenger: &Address, dispute: &Address) -> Result<Instruction> {
        let pool = || self.pool().context("the claim has no pool");
        Ok(match self.claim {
            Claim::Segment { .. } | Claim::Run { .. } => {
                self.program.resolve_dispute(challenger, &self.job, &self.seen()?.address, &pool()?)
            }
            Claim::Vote { .. } | Claim::Attestation { .. } => {
                let round = &self.seen()?.address;
                self.program.resolve_auditor_dispute(challenger, dispute, &self.job, round, &pool()?)
            }
            Claim::Genesis => self.program.resolve_genesis_dispute(challenger, &self.job),
        })
    }
}
