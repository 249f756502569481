//! The auditor that a wallet says it is.

use anyhow::{Context, Result};
use sip_client::Program;
use sip_data::unhex;
use sip_ledger::Ledger;
use sip_protocol::Account;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::job::Job;
use sip_protocol::training::seats;
use solana_address::Address;

/// Checks that a pool of the wallet is an auditor of a job.
pub(super) fn check_operator<L: Ledger>(
    ledger: &L,
    program: &Program,
    job_address: &Address,
    operator: &Address,
) -> Result<()> {
    let job: Box<Job> = read(ledger, program, job_address)?;
    for seat in job.auditors.iter().filter(|seat| seat.state != seats::FREE) {
        let pool: Box<Pool> = read(ledger, program, &Address::new_from_array(seat.pool))?;
        if pool.scope == operator.to_bytes() {
            return Ok(());
        }
    }
    anyhow::bail!(
        "no pool of the wallet {operator} is an auditor of the job {job_address}; \"sip job join\" takes a place, and \
         without --operator the watchtower only accuses"
    )
}

fn read<T: Account>(ledger: &impl Ledger, program: &Program, address: &Address) -> Result<Box<T>> {
    let account = ledger.account(address)?.filter(|account| account.owner == program.id);
    let account = account.with_context(|| format!("the program has no account at {address}"))?;
    T::decode(&account.data).map(Box::new).map_err(|error| anyhow::anyhow!("{error}"))
}

/// The secret of a hash chain in a file: 64 hexadecimal digits.
pub(crate) fn read_chain(path: &std::path::Path) -> Result<[u8; 32]> {
    let text = sip_json::read_text(path, 1024)
        .with_context(|| format!("cannot read {}; expected 64 hexadecimal digits", path.display()))?;
    unhex(text.trim()).with_context(|| format!("{} does not hold 64 hexadecimal digits", path.display()))
}
