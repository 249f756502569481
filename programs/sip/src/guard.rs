//! What stands between a caller's accounts and the rules: nothing is believed that was not checked here.

use core::ops::{Deref, DerefMut};

use pinocchio::{
    AccountView, Address,
    account::{MAX_PERMITTED_DATA_INCREASE, Ref, RefMut, RuntimeAccount},
    cpi::{Seed, Signer},
    sysvars::{Sysvar, clock::Clock},
};
use pinocchio_system::create_account_with_minimum_balance_signed;
use sip_protocol::{
    Account, Error, Header, Result,
    ground::{account::check_header, declare::Args},
};

/// State that is read.
pub struct Loaded<'a, T> {
    /// Where it is.
    pub address: [u8; 32],
    state: Ref<'a, T>,
}

/// State that changes; the account cannot be used a second time until this is dropped.
pub struct LoadedMut<'a, T> {
    /// Where it is.
    pub address: [u8; 32],
    state: RefMut<'a, T>,
}

impl<T> Deref for Loaded<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> Deref for LoadedMut<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> DerefMut for LoadedMut<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state
    }
}

/// The 32 bytes of an account's address.
#[inline(always)]
pub fn key(account: &AccountView) -> &[u8; 32] {
    account.address().as_array()
}

/// Checks a signature.
#[inline(always)]
pub fn signer(account: &AccountView) -> Result<()> {
    if account.is_signer() { Ok(()) } else { Err(Error::MissingSigner) }
}

/// Checks that accounts belong together.
#[inline(always)]
pub fn related(is_related: bool) -> Result<()> {
    if is_related { Ok(()) } else { Err(Error::WrongAccount) }
}

/// The arguments of an instruction: exactly the bytes of its struct.
#[inline(always)]
pub fn args<A: Args>(data: &[u8]) -> Result<A> {
    if data.len() != size_of::<A>() {
        return Err(Error::WrongArguments);
    }
    let mut args = A::zeroed();
    bytemuck::bytes_of_mut(&mut args).copy_from_slice(data);
    Ok(args)
}

/// Arguments, and the bytes that follow them.
#[inline(always)]
pub fn args_and_bytes<A: Args>(data: &[u8]) -> Result<(A, &[u8])> {
    let (args, bytes) = data.split_at_checked(size_of::<A>()).ok_or(Error::WrongArguments)?;
    Ok((self::args(args)?, bytes))
}

/// Where the ledger keeps the hashes of its last 512 slots.
pub const SLOT_HASHES: Address = Address::from_str_const("SysvarS1otHashes111111111111111111111111111");

/// The present slot.
#[inline(always)]
pub fn slot() -> Result<u64> {
    Ok(Clock::get().map_err(|_| Error::CallFailed)?.slot)
}

/// Checks that an account is this program's.
#[inline(always)]
fn check_owner(program: &Address, account: &AccountView) -> Result<()> {
    if account.owned_by(program) {
        return Ok(());
    }
    let is_new = account.is_data_empty() && account.owned_by(&pinocchio_system::ID);
    Err(if is_new { Error::NotInitialised } else { Error::WrongOwner })
}

/// Loads state for reading: owner, kind, version, size.
#[inline(always)]
pub fn load<'a, T: Account>(program: &Address, account: &'a AccountView) -> Result<Loaded<'a, T>> {
    check_owner(program, account)?;
    let address = *key(account);
    let data = account.try_borrow().map_err(|_| Error::DuplicateAccount)?;
    check_data::<T>(&data)?;
    Ok(Loaded { address, state: Ref::map(data, |bytes| bytemuck::from_bytes(bytes)) })
}

/// Loads state for changing: as [`load`], and the account is writable and used once.
#[inline(always)]
pub fn load_mut<'a, T: Account>(program: &Address, account: &'a mut AccountView) -> Result<LoadedMut<'a, T>> {
    check_owner(program, account)?;
    if !account.is_writable() {
        return Err(Error::NotWritable);
    }
    let address = *key(account);
    let data = account.try_borrow_mut().map_err(|_| Error::DuplicateAccount)?;
    check_data::<T>(&data)?;
    Ok(LoadedMut { address, state: RefMut::map(data, |bytes| bytemuck::from_bytes_mut(bytes)) })
}

/// The kind that an account says it is of, by which the caller chooses how to load it; nothing is checked.
#[inline(always)]
pub fn kind(account: &AccountView) -> Result<u8> {
    let data = account.try_borrow().map_err(|_| Error::DuplicateAccount)?;
    Ok(data.first().copied().unwrap_or(0))
}

/// Checks kind, version and size of an account's data.
#[inline(always)]
fn check_data<T: Account>(data: &[u8]) -> Result<()> {
    let header: &Header = bytemuck::from_bytes(data.get(..size_of::<Header>()).ok_or(Error::WrongSize)?);
    check_header(header, T::KIND)?;
    if data.len() == T::SIZE { Ok(()) } else { Err(Error::WrongSize) }
}

/// Closes an account of this program: its lamports go to `recipient`, its data is erased.
#[inline(always)]
pub fn close(account: &mut AccountView, recipient: &mut AccountView) -> Result<()> {
    if !recipient.is_writable() {
        return Err(Error::NotWritable);
    }
    if account.address() == recipient.address() {
        return Err(Error::DuplicateAccount);
    }
    let lamports = recipient.lamports().checked_add(account.lamports()).ok_or(Error::Overflow)?;
    recipient.set_lamports(lamports);
    account.close().map_err(|_| Error::DuplicateAccount)
}

/// Lengthens an account of this program with zeros, by at most [`MAX_PERMITTED_DATA_INCREASE`] bytes in one instruction. Nothing
/// is borrowed of it meanwhile.
#[inline(always)]
pub fn lengthen(account: &mut AccountView, size: usize) -> Result<()> {
    account.check_borrow_mut().map_err(|_| Error::DuplicateAccount)?;
    let added = size.checked_sub(account.data_len()).ok_or(Error::WrongSize)?;
    if added > MAX_PERMITTED_DATA_INCREASE {
        return Err(Error::WrongSize);
    }
    // SAFETY: the account is the runtime's, which leaves room for that many bytes after the data that it gave, and nothing has
    // lengthened it in this instruction before: it has no borrow, and is of an older layout. Zeros are written into that room only.
    // (pinocchio's own `resize` writes them word by word, at three compute units each.)
    unsafe {
        let end = account.data_mut_ptr().add(account.data_len());
        #[cfg(target_arch = "bpf")]
        pinocchio::syscalls::sol_memset_(end, 0, added as u64);
        #[cfg(not(target_arch = "bpf"))]
        end.write_bytes(0, added);
        (*(account.account_ptr() as *mut RuntimeAccount)).data_len = size as u64;
    }
    Ok(())
}

/// The canonical address of an account of this program.
#[inline(always)]
pub fn derive(program: &Address, seeds: &[&[u8]]) -> Result<[u8; 32]> {
    let (address, _) = Address::try_find_program_address(seeds, program).ok_or(Error::WrongAddress)?;
    Ok(*address.as_array())
}

/// Most seeds of an address, without its bump.
const MAX_SEEDS: usize = 4;

/// Who creates accounts and who pays for them.
pub struct Creation<'a> {
    /// This program.
    pub program: &'a Address,
    /// Pays the rent; the caller has checked its signature.
    pub payer: &'a AccountView,
}

impl Creation<'_> {
    /// Creates an account of this program at its canonical address, all zero but for the header.
    ///
    /// Refuses another address and an account that exists; lamports that someone sent there beforehand do no harm.
    #[inline(always)]
    pub fn create<'b, T: Account>(&self, account: &'b mut AccountView, seeds: &[&[u8]]) -> Result<LoadedMut<'b, T>> {
        let bump = self.allocate(account, seeds, self.program, T::SIZE)?;
        let address = *key(account);
        let mut data = account.try_borrow_mut().map_err(|_| Error::DuplicateAccount)?;
        if data.len() != T::SIZE {
            return Err(Error::WrongSize);
        }
        data[..size_of::<Header>()].copy_from_slice(bytemuck::bytes_of(&Header::new(T::KIND, bump)));
        Ok(LoadedMut { address, state: RefMut::map(data, |bytes| bytemuck::from_bytes_mut(bytes)) })
    }

    /// Creates an empty account for `owner` at the canonical address of `seeds`; returns the bump.
    #[inline(always)]
    pub fn allocate(&self, account: &mut AccountView, seeds: &[&[u8]], owner: &Address, size: usize) -> Result<u8> {
        self.allocate_plan(account, &Plan { seeds, owner, size })
    }

    #[inline(never)]
    fn allocate_plan(&self, account: &mut AccountView, plan: &Plan) -> Result<u8> {
        let Plan { seeds, owner, size } = plan;
        let (address, bump) = Address::try_find_program_address(seeds, self.program).ok_or(Error::WrongAddress)?;
        if *account.address() != address {
            return Err(Error::WrongAddress);
        }
        if !account.owned_by(&pinocchio_system::ID) || !account.is_data_empty() {
            return Err(Error::AlreadyInitialised);
        }
        if !account.is_writable() || !self.payer.is_writable() {
            return Err(Error::NotWritable);
        }
        let bump_seed = [bump];
        let empty: &[u8] = &[];
        let mut parts: [Seed; MAX_SEEDS + 1] = core::array::from_fn(|_| Seed::from(empty));
        for (part, seed) in parts.iter_mut().zip(seeds.iter().copied().chain([bump_seed.as_slice()])) {
            *part = Seed::from(seed);
        }
        let signers = [Signer::from(parts.get(..seeds.len() + 1).ok_or(Error::WrongAddress)?)];
        create_account_with_minimum_balance_signed(account, *size, owner, self.payer, None, &signers)
            .map_err(|_| Error::CallFailed)?;
        Ok(bump)
    }
}

struct Plan<'a> {
    seeds: &'a [&'a [u8]],
    owner: &'a Address,
    size: usize,
}

/// Writes bytes to the transaction's log.
#[inline(always)]
pub fn log(message: &[u8]) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the call reads `message.len()` bytes from the pointer.
    unsafe {
        pinocchio::syscalls::sol_log_(message.as_ptr(), message.len() as u64);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = message;
}

/// System calls as the rules ask for them.
pub struct Syscall;

impl sip_proof::Sha256 for Syscall {
    #[inline(always)]
    fn hashv(parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = [0u8; 32];
        #[cfg(target_arch = "bpf")]
        // SAFETY: the call reads `parts`, whose slices have the layout (pointer, length) that it expects, and writes 32 bytes.
        unsafe {
            pinocchio::syscalls::sol_sha256(parts.as_ptr() as *const u8, parts.len() as u64, hash.as_mut_ptr());
        }
        #[cfg(not(target_arch = "bpf"))]
        {
            let _ = (parts, &mut hash);
            panic!("system calls exist only on chain");
        }
        #[cfg(target_arch = "bpf")]
        hash
    }
}
