//! What tests need of stake that becomes active and of emission.

use sip_protocol::{
    money::{emission::Emission, epoch::EmissionAccount},
    stake::pool::Pool,
};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::World;

impl World {
    /// The state of emission.
    pub fn emission(&self) -> Emission {
        self.state::<EmissionAccount>(&self.program.emission()).emission
    }

    /// Stakes into a pool and lets the stake become active.
    pub fn stake(&mut self, owner: &Keypair, pool: &Address, amount: u64) {
        let program = self.program;
        self.send(&[program.deposit(&owner.pubkey(), pool, amount, 0)], &[owner]);
        self.activate(&[(*pool, owner.pubkey())]);
    }

    /// Lets the activation time pass, or how long new stake of these pools waits until it earns if that is longer, and activates positions, given by pool and owner.
    pub fn activate(&mut self, positions: &[(Address, Address)]) {
        let (program, authority) = (self.program, self.authority.insecure_clone());
        let mut slots = self.config().parameters.activation_slots;
        for (pool, _) in positions {
            slots = slots.max(self.state::<Pool>(pool).earning_slots());
        }
        self.advance(slots);
        for (pool, owner) in positions {
            self.send(&[program.activate(pool, owner)], &[&authority]);
        }
    }

    /// Lets the epoch pass, turns it, and counts the stake of pools.
    pub fn turn_epoch(&mut self, pools: &[Address]) {
        let (program, authority) = (self.program, self.authority.insecure_clone());
        let slots = self.emission().schedule.epoch_slots;
        self.advance(slots);
        self.send(&[program.turn_epoch()], &[&authority]);
        for pool in pools {
            self.send(&[program.settle_yield(pool)], &[&authority]);
        }
    }
}
