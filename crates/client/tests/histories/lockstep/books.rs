//! The rules as a ledger of their own: every instruction of money, executed by the pure transitions on plain bytes.
//!
//! What guards the program's accounts is left out; what they hold afterwards must be the same to the last bit.

use bytemuck::{Pod, Zeroable, bytes_of};
use sip_client::Program;
use sip_protocol::{
    Account, Error, Header, Result,
    admin::config::Config,
    court::{
        accusation::{Accusation, Commitment},
        availability::{Asking, Demand},
    },
    ground::account::seed,
    instructions::{CloseDemand, CommitAccusation, DemandData, ExpireAccusation, FailData, RetireDataset, *},
    money::{
        epoch::EmissionAccount,
        fees::{Fees, Payment, Receivers},
        settlement::Settlement,
    },
    stake::{
        pool::{ACTIVE, Pool, PoolKind, SEED_SHARES},
        position::{Position, Ticket},
        steering::Vote,
    },
    training::{data::Dataset, job::Job, round::Round, segment::Segment},
};
use solana_address::Address;
use solana_instruction::Instruction;
use std::collections::BTreeMap;

/// All accounts of the protocol, and all balances.
#[derive(Clone)]
pub(crate) struct Books {
    pub(crate) program: Program,
    /// The protocol's accounts, as they lie on chain.
    pub(crate) states: BTreeMap<Address, Vec<u8>>,
    /// Tokens by token account: the protocol's, and shares.
    pub(crate) tokens: BTreeMap<Address, u64>,
}

/// One instruction being executed.
struct Call<'a> {
    accounts: &'a [Address],
    arguments: &'a [u8],
    slot: u64,
}

impl Call<'_> {
    fn args<A: Pod>(&self) -> A {
        bytemuck::pod_read_unaligned(self.arguments)
    }

    fn key(&self, place: usize) -> Address {
        self.accounts[place]
    }

    fn bytes(&self, place: usize) -> [u8; 32] {
        self.accounts[place].to_bytes()
    }
}

impl Books {
    /// Executes an instruction in a slot. A refused one changes nothing.
    pub(crate) fn execute(&mut self, instruction: &Instruction, slot: u64) -> Result<()> {
        let accounts: Vec<Address> = instruction.accounts.iter().map(|meta| meta.pubkey).collect();
        let (tag, arguments) = instruction.data.split_first().ok_or(Error::UnknownInstruction)?;
        let mut next = self.clone();
        next.apply(*tag, &Call { accounts: &accounts, arguments, slot })?;
        *self = next;
        Ok(())
    }

    /// The state at an address.
    pub(crate) fn read<T: Account>(&self, address: &Address) -> Result<T> {
        T::decode(self.states.get(address).ok_or(Error::NotInitialised)?)
    }

    fn write<T: Account>(&mut self, address: &Address, state: &T) {
        self.states.insert(*address, bytes_of(state).to_vec());
    }

    fn create<T: Account + Zeroable>(&self, address: &Address, seeds: &[&[u8]]) -> Result<T> {
        let (expected, bump) = Address::find_program_address(seeds, &self.program.id);
        if expected != *address {
            return Err(Error::WrongAddress);
        }
        if self.states.contains_key(address) {
            return Err(Error::AlreadyInitialised);
        }
        let mut data = vec![0; T::SIZE];
        data[..size_of::<Header>()].copy_from_slice(bytes_of(&Header::new(T::KIND, bump)));
        T::decode(&data)
    }

    fn position(&self, address: &Address, pool: &Address, owner: &Address) -> Result<Position> {
        let position: Position = self.read(address)?;
        if position.pool != pool.to_bytes() {
            return Err(Error::WrongAccount);
        }
        if position.owner != owner.to_bytes() { Err(Error::NotAuthority) } else { Ok(position) }
    }

    fn open_position(&self, address: &Address, pool: &Address, state: &Pool, owner: &Address) -> Result<Position> {
        if self.states.contains_key(address) {
            return self.position(address, pool, owner);
        }
        let mut position: Position = self.create(address, &[seed::POSITION, pool.as_ref(), owner.as_ref()])?;
        position.initialise(&pool.to_bytes(), state, &owner.to_bytes());
        Ok(position)
    }

    fn transfer(&mut self, from: &Address, to: &Address, amount: u64) -> Result<()> {
        self.withdraw(from, amount)?;
        *self.tokens.get_mut(to).ok_or(Error::WrongTokenAccount)? += amount;
        Ok(())
    }

    fn withdraw(&mut self, from: &Address, amount: u64) -> Result<()> {
        let balance = self.tokens.get_mut(from).ok_or(Error::WrongTokenAccount)?;
        *balance = balance.checked_sub(amount).ok_or(Error::CallFailed)?;
        Ok(())
    }

    fn config(&self, call: &Call<'_>, place: usize) -> Result<Config> {
        self.read(&call.key(place))
    }

    fn apply(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        match tag {
            Distribute::TAG
            | ProposeSpending::TAG
            | ApplySpending::TAG
            | CancelProposal::TAG
            | Pause::TAG
            | Unpause::TAG
            | ClaimVested::TAG => self.administer(tag, call),
            CreatePool::TAG | AddBond::TAG | RetirePool::TAG | WithdrawBond::TAG | ClaimCommission::TAG => {
                self.operate(tag, call)
            }
            Deposit::TAG
            | Activate::TAG
            | RequestExit::TAG
            | CancelDeposit::TAG
            | ClaimExit::TAG
            | Rebond::TAG
            | ClaimRewards::TAG
            | MoveAttention::TAG
            | LockShares::TAG => self.stake(tag, call),
            Steer::TAG | Unsteer::TAG | RefreshVote::TAG | TokenizeShares::TAG | DetokenizeShares::TAG => {
                self.use_shares(tag, call)
            }
            PayFee::TAG | SettleFees::TAG | TurnEpoch::TAG | SettleYield::TAG => self.flow(tag, call),
            SettleSegment::TAG | SettleAudit::TAG | SettleEvaluation::TAG | SettleData::TAG | SettlePatrons::TAG => {
                self.settle(tag, call)
            }
            RetireDataset::TAG
            | DemandData::TAG
            | FailData::TAG
            | CloseDemand::TAG
            | CommitAccusation::TAG
            | ExpireAccusation::TAG => self.challenge(tag, call),
            _ => Err(Error::UnknownInstruction),
        }
    }

    fn administer(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        let place = if tag == ApplySpending::TAG { 0 } else { 1 };
        let mut config = self.config(call, place)?;
        if tag != ApplySpending::TAG {
            config.require_authority(&call.bytes(0))?;
        }
        let paid = match tag {
            Distribute::TAG => {
                let Distribute { amount } = call.args();
                config.require_running(call.slot)?;
                config.distribute(amount)?;
                Some((call.key(2), call.key(3), amount))
            }
            ApplySpending::TAG => {
                let amount = config.apply_spending(&call.bytes(2), call.slot)?;
                Some((call.key(1), call.key(2), amount))
            }
            ClaimVested::TAG => Some((call.key(2), call.key(3), config.take_vested(call.slot)?)),
            ProposeSpending::TAG => {
                let args: ProposeSpending = call.args();
                config.propose_spending(args.kind, args.amount, &args.destination, call.slot)?;
                None
            }
            CancelProposal::TAG => config.cancel_proposal().map(|()| None)?,
            Pause::TAG => config.pause(call.slot).map(|()| None)?,
            _ => config.unpause(call.slot).map(|()| None)?,
        };
        self.write(&call.key(place), &config);
        paid.map_or(Ok(()), |(from, to, amount)| self.transfer(&from, &to, amount))
    }

    fn operate(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        let behind = if tag == RetirePool::TAG { 1 } else { 0 };
        let (operator, address) = (call.bytes(0), call.key(2 + behind));
        let config = self.config(call, 1)?;
        if tag == CreatePool::TAG {
            let args: CreatePool = call.args();
            config.require_running(call.slot)?;
            if args.self_bond < config.parameters.minimum_self_bond {
                return Err(Error::SelfBondTooSmall);
            }
            let seeds: [&[u8]; 4] = [seed::POOL, &[args.kind], &operator, &args.index.to_le_bytes()];
            let mut pool: Pool = self.create(&address, &seeds)?;
            let kind = PoolKind::from_byte(args.kind).ok_or(Error::WrongPoolKind)?;
            pool.initialise(kind, &operator, args.index, call.slot);
            (pool.self_bond, pool.commission_bps) = (args.self_bond, args.commission_bps);
            (pool.chain_tip, pool.compounding) = (args.chain_tip, args.compounding);
            self.write(&address, &pool);
            return self.transfer(&call.key(3), &call.key(4), args.self_bond + SEED_SHARES);
        }
        let mut pool: Pool = self.read(&address)?;
        pool.require_operator(&operator)?;
        let paid = match tag {
            AddBond::TAG => {
                let AddBond { amount } = call.args();
                pool.add_bond(amount, call.slot, config.parameters.activation_slots)?;
                Some((call.key(3), call.key(4), amount))
            }
            RetirePool::TAG => {
                pool.retire(call.slot, config.parameters.unbonding_slots)?;
                self.count(call, 2, &mut pool)?;
                None
            }
            WithdrawBond::TAG => Some((call.key(3), call.key(4), pool.take_bond(call.slot)?)),
            _ => {
                pool.accrue(call.slot)?;
                Some((call.key(3), call.key(4), pool.take_commission()?))
            }
        };
        self.write(&address, &pool);
        paid.map_or(Ok(()), |(from, to, amount)| self.transfer(&from, &to, amount))
    }

    fn stake(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        let slot = call.slot;
        match tag {
            Activate::TAG => {
                let (mut pool, mut position): (Pool, Position) = (self.read(&call.key(0))?, self.read(&call.key(1))?);
                let claimable = position.claimable;
                let earning = position.earning_shares;
                let is_same =
                    |position: &Position| (position.claimable, position.earning_shares) == (claimable, earning);
                if position.activate(&mut pool, slot)? == 0 && is_same(&position) {
                    pool.require_open()?;
                    return Err(Error::NothingPending);
                }
                self.write(&call.key(0), &pool);
                self.write(&call.key(1), &position);
                return Ok(());
            }
            LockShares::TAG => {
                let args: LockShares = call.args();
                let mut pool: Pool = self.read(&call.key(1))?;
                let mut position = self.position(&call.key(2), &call.key(1), &call.key(0))?;
                position.activate(&mut pool, slot)?;
                position.lock(&mut pool, args.shares, args.periods, slot)?;
                self.write(&call.key(1), &pool);
                self.write(&call.key(2), &position);
                return Ok(());
            }
            MoveAttention::TAG => return self.move_attention(call),
            _ => {}
        }
        let behind = if tag == RequestExit::TAG { 1 } else { 0 };
        let (owner, address, place) = (call.key(0), call.key(2 + behind), call.key(3 + behind));
        let config = self.config(call, 1)?;
        let parameters = config.parameters;
        if tag == Deposit::TAG || tag == Rebond::TAG {
            config.require_running(slot)?;
        }
        let mut pool: Pool = self.read(&address)?;
        let exit_slots = pool.exit_slots(parameters.unbonding_slots);
        match tag {
            Deposit::TAG => {
                let args: Deposit = call.args();
                let mut position = self.open_position(&place, &address, &pool, &owner)?;
                position.deposit(&mut pool, args.amount, args.minimum_shares, slot, parameters.activation_slots)?;
                self.write(&place, &position);
                self.transfer(&call.key(4), &call.key(5), args.amount)?;
            }
            RequestExit::TAG | CancelDeposit::TAG => {
                let mut position = self.position(&place, &address, &owner)?;
                let seeds: [&[u8]; 3] = [seed::TICKET, place.as_ref(), &position.tickets.to_le_bytes()];
                let mut ticket: Ticket = self.create(&call.key(4 + behind), &seeds)?;
                ticket.position = place.to_bytes();
                if tag == CancelDeposit::TAG {
                    ticket.cancel(&mut position, &mut pool, slot, exit_slots)?;
                } else {
                    let RequestExit { shares } = call.args();
                    ticket.request(&mut position, &mut pool, shares, slot, exit_slots)?;
                    self.count(call, 2, &mut pool)?;
                }
                self.write(&place, &position);
                self.write(&call.key(4 + behind), &ticket);
            }
            Rebond::TAG => {
                let args: Rebond = call.args();
                let mut position = self.position(&place, &address, &owner)?;
                let ticket: Ticket = self.read(&call.key(4))?;
                ticket.rebond(&mut position, &mut pool, args.minimum_shares, slot, parameters.activation_slots)?;
                self.write(&place, &position);
                self.states.remove(&call.key(4));
            }
            ClaimExit::TAG => {
                let ticket: Ticket = self.read(&place)?;
                if ticket.owner != owner.to_bytes() {
                    return Err(Error::NotAuthority);
                }
                let amount = ticket.claim(&mut pool, slot)?;
                self.states.remove(&place);
                self.transfer(&call.key(4), &call.key(5), amount)?;
            }
            _ => {
                let mut position = self.position(&place, &address, &owner)?;
                pool.accrue(slot)?;
                let amount = position.claim(&mut pool)?;
                self.write(&place, &position);
                self.transfer(&call.key(4), &call.key(5), amount)?;
            }
        }
        self.write(&address, &pool);
        Ok(())
    }

    fn move_attention(&mut self, call: &Call<'_>) -> Result<()> {
        let args: MoveAttention = call.args();
        let (owner, from_address, to_address) = (call.key(0), call.key(3), call.key(5));
        if from_address == to_address {
            return Err(Error::SamePool);
        }
        let (mut from_pool, mut to_pool): (Pool, Pool) = (self.read(&from_address)?, self.read(&to_address)?);
        from_pool.require_kind(PoolKind::Attention)?;
        to_pool.require_kind(PoolKind::Attention)?;
        let mut from = self.position(&call.key(4), &from_address, &owner)?;
        let mut to = self.open_position(&call.key(6), &to_address, &to_pool, &owner)?;
        let ramp = self.config(call, 1)?.parameters.activation_slots;
        let amount = from.withdraw(&mut from_pool, args.shares, call.slot)?;
        self.count(call, 2, &mut from_pool)?;
        to.deposit(&mut to_pool, amount, args.minimum_shares, call.slot, ramp)?;
        self.write(&from_address, &from_pool);
        self.write(&to_address, &to_pool);
        self.write(&call.key(4), &from);
        self.write(&call.key(6), &to);
        Ok(())
    }

    fn use_shares(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        let slot = call.slot;
        match tag {
            Steer::TAG => {
                let Steer { shares } = call.args();
                let (mut pool, mut target): (Pool, Pool) = (self.read(&call.key(1))?, self.read(&call.key(3))?);
                let mut position = self.position(&call.key(2), &call.key(1), &call.key(0))?;
                if position.steering_shares != 0 {
                    return Err(Error::AlreadyVoted);
                }
                let mut vote: Vote = self.create(&call.key(4), &[seed::VOTE, call.key(2).as_ref()])?;
                (vote.position, vote.pool, vote.target) = (call.bytes(2), call.bytes(1), call.bytes(3));
                vote.cast(&mut position, &mut pool, &mut target, shares, slot)?;
                self.write(&call.key(1), &pool);
                self.write(&call.key(2), &position);
                self.write(&call.key(3), &target);
                self.write(&call.key(4), &vote);
            }
            Unsteer::TAG => {
                let mut position: Position = self.read(&call.key(1))?;
                let (mut target, mut vote): (Pool, Vote) = (self.read(&call.key(2))?, self.read(&call.key(3))?);
                if vote.target != call.bytes(2) {
                    return Err(Error::WrongAccount);
                }
                vote.withdraw(&mut position, &mut target, slot)?;
                self.write(&call.key(1), &position);
                self.write(&call.key(2), &target);
                self.states.remove(&call.key(3));
            }
            RefreshVote::TAG => {
                let pool: Pool = self.read(&call.key(0))?;
                let (mut target, mut vote): (Pool, Vote) = (self.read(&call.key(1))?, self.read(&call.key(2))?);
                if vote.target != call.bytes(1) {
                    return Err(Error::WrongAccount);
                }
                vote.refresh(&pool, &mut target, slot)?;
                self.write(&call.key(1), &target);
                self.write(&call.key(2), &vote);
            }
            _ => {
                let behind = if tag == DetokenizeShares::TAG { 1 } else { 0 };
                let (owner, address, place) = (call.key(0), call.key(2 + behind), call.key(3 + behind));
                let config = self.config(call, 1)?;
                if tag == TokenizeShares::TAG {
                    let TokenizeShares { shares } = call.args();
                    config.require_running(slot)?;
                    let mut pool: Pool = self.read(&address)?;
                    let mut position = self.position(&place, &address, &owner)?;
                    position.tokenise(&mut pool, shares, slot)?;
                    self.write(&address, &pool);
                    self.write(&place, &position);
                    *self.tokens.get_mut(&call.key(5)).ok_or(Error::CallFailed)? += shares;
                } else {
                    let DetokenizeShares { shares } = call.args();
                    let mut pool: Pool = self.read(&address)?;
                    let mut position = self.open_position(&place, &address, &pool, &owner)?;
                    position.detokenise(&mut pool, shares, slot, config.parameters.activation_slots)?;
                    self.count(call, 2, &mut pool)?;
                    self.write(&address, &pool);
                    self.write(&place, &position);
                    self.withdraw(&call.key(6), shares)?;
                }
            }
        }
        Ok(())
    }

    /// Counts what a pool has left for the yield; the emission is the account of this place.
    fn count(&mut self, call: &Call<'_>, emission: usize, pool: &mut Pool) -> Result<()> {
        let mut account: EmissionAccount = self.read(&call.key(emission))?;
        account.emission.settle_pool(pool, call.slot)?;
        self.write(&call.key(emission), &account);
        Ok(())
    }

    fn flow(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        match tag {
            TurnEpoch::TAG => {
                let mut config = self.config(call, 0)?;
                let mut account: EmissionAccount = self.read(&call.key(1))?;
                account.emission.turn(&mut config, call.slot)?;
                self.write(&call.key(0), &config);
                self.write(&call.key(1), &account);
            }
            SettleYield::TAG => {
                let (mut account, mut pool): (EmissionAccount, Pool) =
                    (self.read(&call.key(0))?, self.read(&call.key(1))?);
                account.emission.settle_pool(&mut pool, call.slot)?;
                self.write(&call.key(0), &account);
                self.write(&call.key(1), &pool);
            }
            SettleFees::TAG => {
                let SettleFees { domain } = call.args();
                let mut config = self.config(call, 0)?;
                let mut fees: Fees = self.read(&call.key(1))?;
                let dataset: Dataset = self.read(&call.key(3))?;
                let (mut data, mut attention): (Pool, Pool) = (self.read(&call.key(4))?, self.read(&call.key(5))?);
                let mut to = Receivers {
                    config: &mut config,
                    dataset: &dataset,
                    data: &mut data,
                    attention: &mut attention,
                    slot: call.slot,
                };
                fees.settle(domain, &mut to)?;
                self.write(&call.key(0), &config);
                self.write(&call.key(1), &fees);
                self.write(&call.key(4), &data);
                self.write(&call.key(5), &attention);
            }
            _ => return self.pay_fee(call),
        }
        Ok(())
    }

    fn pay_fee(&mut self, call: &Call<'_>) -> Result<()> {
        let args: PayFee = call.args();
        let mut config = self.config(call, 1)?;
        config.require_running(call.slot)?;
        let mut account: EmissionAccount = self.read(&call.key(2))?;
        let round: Round = self.read(&call.key(9))?;
        let mut fees: Fees = match self.read(&call.key(10)) {
            Err(Error::NotInitialised) => {
                let mut fees: Fees = self.create(&call.key(10), &[seed::FEES, call.key(8).as_ref()])?;
                fees.job = call.bytes(8);
                fees
            }
            other => other?,
        };
        let mut payment = Payment {
            config: &mut config,
            emission: &mut account.emission,
            fees: &mut fees,
            mixture_bps: &round.mixture_bps,
            domain_count: round.domain_count,
            patron_domains: round.patron_domains,
            slot: call.slot,
        };
        let split = payment.take(args.amount)?;
        let mut server: Pool = self.read(&call.key(11))?;
        server.serve(split.server)?;
        self.write(&call.key(11), &server);
        let mut part = split.model;
        for place in 12..call.accounts.len() {
            let mut model: Pool = self.read(&call.key(place))?;
            if place == 12 && model.status != ACTIVE {
                return Err(Error::PoolRetired);
            }
            part = model.earn_royalty(part, false)?;
            self.write(&call.key(place), &model);
        }
        self.write(&call.key(1), &config);
        self.write(&call.key(2), &account);
        self.write(&call.key(10), &fees);
        self.transfer(&call.key(4), &call.key(5), args.amount)?;
        self.withdraw(&call.key(5), split.burned)
    }

    fn settle(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        let (round_place, pool_place) = match tag {
            SettleSegment::TAG | SettleData::TAG => (2, 4),
            _ => (2, 3),
        };
        let mut config = self.config(call, 0)?;
        let mut round: Round = self.read(&call.key(round_place))?;
        let mut pool: Pool = self.read(&call.key(pool_place))?;
        let round_before = round;
        let job: Job = self.read(&call.key(1))?;
        let mut settlement =
            Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: call.slot };
        let place = call.arguments.first().copied().unwrap_or_default();
        match tag {
            SettleSegment::TAG => {
                let mut segment: Segment = self.read(&call.key(3))?;
                settlement.segment(&mut segment)?;
                self.write(&call.key(3), &segment);
            }
            SettleData::TAG => drop(settlement.data(place, &self.read::<Dataset>(&call.key(3))?)?),
            SettlePatrons::TAG => drop(settlement.patrons(place)?),
            SettleAudit::TAG => {
                round_before.require_holder(PoolKind::Auditor, place, &call.bytes(3))?;
                settlement.audit(place)?;
            }
            _ => {
                round_before.require_holder(PoolKind::Evaluator, place, &call.bytes(3))?;
                settlement.evaluation(place)?;
            }
        }
        self.write(&call.key(0), &config);
        self.write(&call.key(round_place), &round);
        self.write(&call.key(pool_place), &pool);
        Ok(())
    }

    fn challenge(&mut self, tag: u8, call: &Call<'_>) -> Result<()> {
        match tag {
            DemandData::TAG => {
                let DemandData { part, chunk } = call.args();
                let config = self.config(call, 1)?;
                let (mut dataset, mut pool): (Dataset, Pool) = (self.read(&call.key(2))?, self.read(&call.key(3))?);
                let (subject, demander) = (call.bytes(2), call.bytes(0));
                let place = u64::from(part) | (u64::from(chunk) << 32);
                let seeds: [&[u8]; 4] = [seed::DEMAND, &subject, &demander, &place.to_le_bytes()];
                let mut demand: Demand = self.create(&call.key(4), &seeds)?;
                let asking = Asking {
                    subject: &subject,
                    demander: &demander,
                    parameters: &config.parameters,
                    entry: part,
                    chunk,
                    slot: call.slot,
                };
                demand.of_data(&asking, &mut dataset, &mut pool)?;
                self.write(&call.key(2), &dataset);
                self.write(&call.key(3), &pool);
                self.write(&call.key(4), &demand);
                self.transfer(&call.key(5), &call.key(6), demand.fee)
            }
            FailData::TAG => {
                let mut config = self.config(call, 0)?;
                let (mut dataset, mut pool): (Dataset, Pool) = (self.read(&call.key(1))?, self.read(&call.key(2))?);
                let mut demand: Demand = self.read(&call.key(3))?;
                let fee = demand.fail_data(&mut config, &mut dataset, &mut pool, call.slot)?;
                self.write(&call.key(0), &config);
                self.write(&call.key(1), &dataset);
                self.write(&call.key(2), &pool);
                self.write(&call.key(3), &demand);
                self.transfer(&call.key(5), &call.key(4), fee)
            }
            RetireDataset::TAG => {
                let config = self.config(call, 1)?;
                let (mut dataset, pool): (Dataset, Pool) = (self.read(&call.key(2))?, self.read(&call.key(3))?);
                dataset.retire(&pool, &call.bytes(0), config.parameters.unbonding_slots, call.slot)?;
                self.write(&call.key(2), &dataset);
                Ok(())
            }
            CloseDemand::TAG => {
                self.read::<Demand>(&call.key(1))?.require_closable(&call.bytes(0))?;
                self.states.remove(&call.key(1));
                Ok(())
            }
            CommitAccusation::TAG => {
                let CommitAccusation { hash } = call.args();
                let config = self.config(call, 1)?;
                let seeds: [&[u8]; 3] = [seed::ACCUSATION, call.accounts[0].as_ref(), &hash];
                let mut accusation: Accusation = self.create(&call.key(3), &seeds)?;
                let mut job: Job = self.read(&call.key(2))?;
                let commitment = Commitment {
                    challenger: &call.bytes(0),
                    hash: &hash,
                    job_address: &call.bytes(2),
                    parameters: &config.parameters,
                    slot: call.slot,
                };
                accusation.commit(&commitment, &mut job)?;
                self.write(&call.key(2), &job);
                self.write(&call.key(3), &accusation);
                self.transfer(&call.key(4), &call.key(5), accusation.bond)
            }
            _ => {
                let mut config = self.config(call, 0)?;
                let mut accusation: Accusation = self.read(&call.key(2))?;
                let mut job: Job = self.read(&call.key(1))?;
                let amount = accusation.expire(&mut config, &mut job, call.slot)?;
                self.write(&call.key(1), &job);
                self.write(&call.key(0), &config);
                self.states.remove(&call.key(2));
                self.transfer(&call.key(5), &call.key(4), amount)
            }
        }
    }
}
