//! Names that somebody gives to addresses, in a file of their own.

use anyhow::{Context, Result, bail};
use sip_data::files::write_atomically;
use sip_data::shown_path;
use solana_address::Address;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::table::{Cell, Row};
use super::variable;
use crate::failure::{Code, fault};
use crate::words::wrong;

/// Most bytes of the file.
const MOST_BYTES: usize = 1 << 20;
/// Longest name.
const MOST_LETTERS: usize = 32;

/// Names of addresses.
#[derive(Default)]
pub struct Names {
    addresses: BTreeMap<String, Address>,
}

/// Where the names are: `$SIP_NAMES`, or `sip/names.json` among the user's settings.
pub fn path() -> Option<PathBuf> {
    let settings = || {
        let folder = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        folder.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))
    };
    variable("SIP_NAMES").map(PathBuf::from).or_else(|| settings().map(|folder| folder.join("sip/names.json")))
}

impl Names {
    /// The names of the user; none where there is no file.
    pub fn read() -> Result<Names> {
        let Some(path) = path().filter(|path| path.exists()) else { return Ok(Names::default()) };
        let shown = shown_path(&path);
        let text =
            sip_json::read_text(&path, MOST_BYTES).with_context(|| format!("cannot read the names in {shown}"))?;
        let texts: BTreeMap<String, String> =
            sip_json::from_str(&text).with_context(|| format!("{shown} is no list of names and addresses"))?;
        let mut names = Names::default();
        for (name, address) in texts {
            let address = address.parse().map_err(|_| anyhow::anyhow!("{shown}: \"{address}\" is no address"))?;
            names.addresses.insert(name, address);
        }
        Ok(names)
    }

    fn write(&self) -> Result<()> {
        let path = path().context("there is no folder for settings; set SIP_NAMES to a file for the names")?;
        let shown = shown_path(&path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of {shown}"))?;
        }
        let texts: BTreeMap<&String, String> =
            self.addresses.iter().map(|(name, address)| (name, address.to_string())).collect();
        let text = serde_json::to_string_pretty(&texts)? + "\n";
        write_atomically(&path, |staged| std::fs::write(staged, &text))
            .with_context(|| format!("cannot write {shown}"))?;
        Ok(())
    }

    /// Gives an address a name; one that is another's already has to be forgotten first, for that is what somebody means who sends by name.
    pub fn add(&mut self, name: &str, address: Address) -> Result<()> {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        let is_name =
            (1..=MOST_LETTERS).contains(&name.len()) && name.chars().all(is_plain) && name.parse::<Address>().is_err();
        if !is_name {
            let said = format!("\"{name}\" is no name; expected 1 to {MOST_LETTERS} letters, digits and hyphens");
            return Err(wrong(said));
        }
        let is_taken =
            ["all", "none", "trainer", "auditor", "evaluator", "data", "model", "server", "attention"].contains(&name);
        if is_taken {
            return Err(wrong(format!("\"{name}\" means something in commands already; choose another name")));
        }
        if let Some(other) = self.address(name).filter(|other| *other != address) {
            bail!("\"{name}\" is the name of {other}; \"sip wallet forget {name}\" frees it for another");
        }
        self.addresses.insert(name.to_owned(), address);
        self.write()
    }

    /// Forgets a name, and says whose it was.
    pub fn remove(&mut self, name: &str) -> Result<Address> {
        let Some(address) = self.addresses.remove(name) else {
            let said = format!("there is no name \"{name}\"; \"sip wallet names\" lists those that there are");
            return Err(fault(Code::NotAnAddress, said));
        };
        self.write()?;
        Ok(address)
    }

    /// All names with their addresses.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Address)> {
        self.addresses.iter().map(|(name, address)| (&**name, address))
    }

    /// The address of a name.
    pub fn address(&self, name: &str) -> Option<Address> {
        self.addresses.get(name).copied()
    }

    /// The name of an address.
    fn name(&self, address: &Address) -> Option<&str> {
        self.addresses.iter().find(|(_, known)| *known == address).map(|(name, _)| &**name)
    }

    /// A list of them.
    pub fn rows(&self) -> Vec<Row> {
        let row =
            |(name, address): (&String, &Address)| vec![("name", Cell::text(name)), ("address", Cell::text(address))];
        self.addresses.iter().map(row).collect()
    }

    /// A row of a list with names in place of addresses, for people.
    pub(crate) fn in_list(&self, row: &Row) -> Row {
        self.put_into(row, |name, _| name.to_owned())
    }

    /// A row of a card with names beside addresses, for people.
    pub(crate) fn in_card(&self, row: &Row) -> Row {
        self.put_into(row, |name, address| format!("{address} ({name})"))
    }

    fn put_into(&self, row: &Row, told: impl Fn(&str, &str) -> String) -> Row {
        let named = |(column, cell): &(&'static str, Cell)| match cell {
            Cell::Text(text) if *column != "address" => {
                let name = text.parse().ok().and_then(|address| self.name(&address));
                (*column, name.map_or_else(|| cell.clone(), |name| Cell::Text(told(name, text))))
            }
            cell => (*column, cell.clone()),
        };
        row.iter().map(named).collect()
    }
}
