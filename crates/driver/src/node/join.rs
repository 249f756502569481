//! Taking a seat, as the last step of a beginning: once the node has shown to itself that it can do the work in time.

use anyhow::{Context, Result, ensure};
use sip_arith::int::BPS_ONE;
use sip_data::Mixture;
use sip_ledger::{Ledger, LedgerError};
use sip_manifest::machine::Machine;
use sip_node::{SegmentTask, WorkError, Worker};
use sip_protocol::Account as _;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::job::Job;
use sip_protocol::training::seats;
use sip_roles::{Event, is_named_in};
use solana_address::Address;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::runner::Runner;
use crate::Source;

/// Steps that are timed; the first one is slower than the rest.
const TIMED_STEPS: u32 = 2;
/// A phase has to be so many times as long as the work in it.
const REMAINS: f64 = 1.25;

/// How long a step takes on this machine: the last of two from the genesis state.
///
/// # Errors
/// Where it cannot be computed.
pub fn timed_step(source: &Source, machine: &Machine, job: &Job) -> Result<Duration> {
    let prepared = &source.prepared;
    let domains = prepared.task.domains.len();
    let task = SegmentTask {
        round: 0,
        first_step: 0,
        seed: [0; 32],
        mixture: Mixture::uniform(domains)?,
        settings: job.spec.settings.map(|setting| setting.default),
        place: 0,
        base: Arc::clone(&prepared.genesis),
        bases: Vec::new(),
    };
    let mut worker = Worker::new(prepared.task.clone(), Arc::clone(&machine.threads), machine.simd);
    let (mut begin, mut took) = (Instant::now(), Duration::ZERO);
    let timed = worker.train(&task, None, &mut |step| {
        took = begin.elapsed();
        begin = Instant::now();
        step + 1 < TIMED_STEPS
    });
    match timed {
        Ok(_) | Err(WorkError::Stopped) => Ok(took),
        Err(error) => Err(error.into()),
    }
}

impl<L: Ledger> Runner<'_, L> {
    /// Takes the seats that were asked for; false if it was asked to stop.
    pub(crate) fn join(&mut self, source: &Source, machine: &Machine) -> Result<bool> {
        for pool in self.setup.join.clone() {
            let Some(is_seated) = self.patiently(|runner| runner.is_seated(&pool))? else { return Ok(false) };
            if is_seated {
                continue;
            }
            let Some(job) = self.patiently(|runner| runner.read_job())? else { return Ok(false) };
            let step = timed_step(source, machine, &job)?.as_secs_f64();
            let segment = step * f64::from(job.spec.inner_steps);
            self.say(&Event::Prepares { what: format!("a step takes {step:.2} s here, a segment {segment:.1} s") });
            let done = self.patiently(|runner| runner.take_seat(&pool, segment))?;
            if done.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn pool(&self, pool: &Address) -> Result<Box<Pool>> {
        let account = self.ledger.account(pool)?.filter(|account| account.owner == self.setup.program.id);
        let account = account.with_context(|| format!("there is no pool at {pool}"))?;
        Pool::decode(&account.data).map(Box::new).map_err(|error| anyhow::anyhow!("account {pool}: {error}"))
    }

    fn is_seated(&mut self, pool: &Address) -> Result<bool> {
        let job = self.read_job()?;
        let kind = PoolKind::from_byte(self.pool(pool)?.kind).context("the pool is of no known kind")?;
        Ok((0..16).any(|place| job.require_place(kind, place, pool.as_array()).is_ok()))
    }

    fn take_seat(&mut self, pool: &Address, segment_seconds: f64) -> Result<()> {
        let (job, state) = (self.read_job()?, self.pool(pool)?);
        let kind = PoolKind::from_byte(state.kind).context("the pool is of no known kind")?;
        let wallet = self.setup.node.me.wallet;
        ensure!(
            state.scope == wallet.to_bytes(),
            "only the operator of the pool {pool} takes a seat with it: \"sip job join {} {pool}\" with the key of {}, on any machine; this wallet, {wallet}, {}",
            self.setup.job,
            Address::new_from_array(state.scope),
            if is_named_in(&state, &wallet) {
                "is the pool's session key and works in the seat"
            } else {
                "has nothing to do with the pool"
            }
        );
        let slots = match kind {
            PoolKind::Trainer => job.spec.commit_slots,
            PoolKind::Auditor => job.spec.audit_slots,
            _ => job.spec.evaluation_slots,
        };
        let phase = f64::from(slots) * self.pace.slot().as_secs_f64();
        ensure!(
            segment_seconds * REMAINS <= phase,
            "this machine takes {segment_seconds:.0} s for a segment, and the phase lasts {phase:.0} s: no seat is taken; a faster machine can take one"
        );
        let free_bps = BPS_ONE.saturating_sub(state.allotted_bps);
        let seat = &job.seats(kind)?[usize::from(job.takeable(kind, self.ledger.slot()?)?)];
        let (program, address) = (self.setup.program, self.setup.job);
        let instruction = match seat.state {
            seats::FREE => program.join_job_with(&wallet, &address, pool, free_bps),
            _ => program.take_seat(&wallet, &address, pool, &Address::new_from_array(seat.pool), free_bps),
        };
        match self.ledger.send(&[instruction], self.key, &[self.key]) {
            Ok(_) => {
                self.say(&Event::Prepares { what: format!("took a seat with {pool}") });
                Ok(())
            }
            Err(error @ (LedgerError::Custom { .. } | LedgerError::Transaction { .. })) => {
                let reason = error.custom_code().and_then(sip_client::refusal).map(|error| error.message().to_owned());
                Err(anyhow::anyhow!("{pool} cannot join: {}", reason.unwrap_or_else(|| error.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }
}
