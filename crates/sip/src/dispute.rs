//! `sip dispute`: which disputes there are, and where one stands, level by level.

use anyhow::{Context, Result, bail};
use base64::Engine;
use sip_data::shown_path;
use sip_ledger::Ledger;
use sip_protocol::court::Dispute;
use sip_protocol::{Account, AccountKind};
use sip_svm::Embedded;
use solana_address::Address;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sip_console::address::beginning;
use sip_console::failure::{Code, fault};
use sip_console::table::Row;
use sip_console::{chain_url, named_program, print_list, reach};
use sip_manifest::folder::{Store, write_own};
use sip_report::dispute::svg;
use sip_report::terminal::{Stream, fitted};
use sip_svm::PROGRAM_ELF;
use sip_view::dispute as view;

/// Longest file that may hold an account.
const FILE_LIMIT_BYTES: usize = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where disputes are.
#[derive(clap::Args)]
struct Place {
    /// Chain to read from: its JSON-RPC address, or localhost, devnet, testnet or mainnet [default: $SIP_URL, or localhost]
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
    /// Read from the ledger of a run in this folder instead, and from the copies that it keeps of closed disputes
    #[arg(long, value_name = "FOLDER", global = true, conflicts_with = "url")]
    run: Option<PathBuf>,
    /// Address of the on-chain program [default: $SIP_PROGRAM, or this build's]
    #[arg(long, value_name = "ADDRESS", global = true, value_parser = sip_console::address::in_full)]
    program: Option<Address>,
    /// Print JSON: an object, or a list of them
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List disputes: who accuses whom of what, and whose move it is
    List,
    /// Draw the path of a dispute: segment, leaf, step, node, chunk, element, piece
    Show(Show),
}

#[derive(clap::Args)]
struct Show {
    /// Address of the dispute or its first letters, or a file with its account: raw bytes, or JSON as `solana account --output json` writes it
    #[arg(value_name = "ADDRESS|FILE")]
    dispute: String,
    /// Also draw it into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::List => list(&arguments.place),
        Command::Show(show) => draw(&arguments.place, show),
    }
}

fn draw(place: &Place, show: &Show) -> Result<ExitCode> {
    let (dispute, slot) = read(place, show)?;
    let levels = view::path(&dispute);
    let head = view::head(&dispute, slot);
    if let Some(file) = &show.svg {
        write_own(file, &svg(&format!("Dispute {}", show.dispute), &head, &levels))?;
    }
    let mut out = std::io::stdout().lock();
    if place.json {
        writeln!(out, "{:#}", view::json(&dispute, slot, &levels))?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in head.iter().cloned().chain(std::iter::once(String::new())).chain(view::lines(&levels)) {
        writeln!(out, "{}", fitted(&line, Stream::Output, 6))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All disputes of a place by address, and the slot.
fn all(place: &Place) -> Result<(Vec<(Address, Dispute)>, u64)> {
    let program = named_program(place.program)?;
    let is_dispute = |data: &[u8]| data.first() == Some(&(AccountKind::Dispute as u8));
    let (accounts, slot) = match &place.run {
        Some(folder) => {
            let store = Store::new(folder);
            let ledger = Embedded::restore(&store.ledger(store.latest()?), program.id, PROGRAM_ELF)?;
            (ledger.program_accounts(&program.id), ledger.slot())
        }
        None => {
            let ledger = reach(&chain_url(place.url.as_deref()))?;
            (Ledger::program_accounts(&ledger, &program.id)?, ledger.slot()?)
        }
    };
    let mut found: BTreeMap<Address, Dispute> = BTreeMap::new();
    if let Some(folder) = &place.run {
        let files = std::fs::read_dir(Store::new(folder).archive()).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()) {
            let address = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            let data = std::fs::read(&path).ok().filter(|data| is_dispute(data));
            if let (Some(address), Some(data)) = (address, data) {
                found.insert(address, decode(&data, &shown_path(&path).to_string())?);
            }
        }
    }
    for (address, account) in accounts.iter().filter(|(_, account)| is_dispute(&account.data)) {
        found.insert(*address, decode(&account.data, &address.to_string())?);
    }
    Ok((found.into_iter().collect(), slot))
}

fn list(place: &Place) -> Result<ExitCode> {
    let (disputes, slot) = all(place)?;
    let rows: Vec<Row> = disputes.iter().map(|(address, dispute)| view::row(address, dispute, slot)).collect();
    print_list(&rows, "no dispute is open; one that is closed is not on the chain any more", place.json)
}

/// The dispute, and the present slot where it is known.
fn read(place: &Place, show: &Show) -> Result<(Dispute, Option<u64>)> {
    let text = &show.dispute;
    let path = Path::new(text);
    if path.is_file() {
        return Ok((decode(&file(path)?, &shown_path(path).to_string())?, None));
    }
    let (disputes, slot) = all(place)?;
    let address = beginning(text, "dispute", disputes.iter().map(|(address, _)| *address));
    let address = match (address, text.parse::<Address>()) {
        (Err(_), Ok(address)) => {
            let said = format!(
                "there is no dispute at {address}; a closed one is not on the chain any more, \"sip dispute list\" lists the others"
            );
            return Err(fault(Code::NoAccount, said));
        }
        (found, _) => found?,
    };
    let dispute = disputes.into_iter().find(|(found, _)| *found == address).map(|(_, dispute)| dispute);
    Ok((dispute.context("the dispute is gone")?, Some(slot)))
}

/// The bytes of an account in a file.
fn file(path: &Path) -> Result<Vec<u8>> {
    let bytes =
        sip_json::read_file(path, FILE_LIMIT_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.first() != Some(&b'{') {
        return Ok(bytes);
    }
    let parsed: serde_json::Value =
        sip_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", path.display()))?;
    let data = [&parsed["account"]["data"], &parsed["data"]].into_iter().find_map(|data| data[0].as_str());
    let Some(text) = data else {
        bail!("{} has no account.data; expected the JSON of `solana account --output json`", path.display())
    };
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .with_context(|| format!("account.data in {} is not base64", path.display()))
}

fn decode(data: &[u8], from: &str) -> Result<Dispute> {
    Dispute::decode(data).map_err(|error| anyhow::anyhow!("{from} is no dispute: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use sip_arith::Soft;
    use sip_node::Cheat;
    use sip_node::dispute::{Challenger, Defender, Evidence, GraphEvidence};
    use sip_proof::HostSha256;
    use sip_protocol::Header;
    use sip_protocol::court::{Game, Side};
    use sip_protocol::court::{MoveKind, Outcome, Phase, Play};
    use sip_protocol::ground::case::CaseKind;
    use sip_testing::staged;
    use sip_testing::synthetic::{Lie, Scene, node};
    use sip_view::dispute::{clock_slots, head, json, lines, path};
    use std::fmt::Debug;
    use std::sync::Arc;

    /// A dispute on a claim that is an outcome of one step, or on an attestation, before every move and at its end.
    fn played<D: Evidence<Error: Debug>, C: Evidence<Error: Debug>>(
        dispute: &mut Dispute,
        mut defender: Defender<D>,
        mut challenger: Challenger<C>,
    ) -> Vec<Dispute> {
        dispute.header = Header::new(AccountKind::Dispute, 255);
        dispute.full_clock_slots = 1000;
        dispute.game.open(1000, 5).unwrap();
        let mut positions = vec![*dispute];
        while dispute.game.outcome().unwrap() == Outcome::Open {
            let side = dispute.game.on_move().unwrap();
            let next = match side {
                Side::Trainer => defender.next(&dispute.game).unwrap().unwrap(),
                Side::Challenger => challenger.next(&dispute.game).unwrap().unwrap(),
            };
            let (kind, slot) = (next.kind as u32, dispute.game.moved_slot + 1);
            dispute.play::<HostSha256, Soft>(&Play { side, kind, offset: 0, bytes: &next.payload, slot }).unwrap();
            assert_ne!(next.kind, MoveKind::Concede);
            positions.push(*dispute);
        }
        positions
    }

    /// The ground of a graph of one step.
    fn ground_of(dispute: &mut Dispute, case: CaseKind, graph: &GraphEvidence, end_root: [u8; 32], entries: u32) {
        let (ground, roots) = (&mut dispute.game.ground, graph.roots());
        ground.case = case as u32;
        (ground.nodes_root, ground.outputs_root) = (roots.nodes_root, roots.outputs_root);
        (ground.node_count, ground.state_count) = (roots.node_count, entries);
        (ground.inner_steps, ground.steps_per_leaf, ground.end_root) = (1, 1, end_root);
    }

    #[test]
    fn votes_genesis_states_attestations_and_scores_have_paths_of_their_own() {
        let shown = |positions: &[Dispute]| {
            for position in positions {
                let levels = path(position);
                assert!(lines(&levels).len() >= levels.len());
                assert!(svg("", &head(position, Some(9)), &levels).contains(levels[0].name));
            }
            let levels = path(positions.last().unwrap());
            levels.iter().map(|level| level.name).collect::<Vec<&str>>()
        };
        // A genesis state.
        let flip = |node| Some(Cheat::FlipBit { step: 0, node, element: 300, bit: 20 });
        let node = staged::genesis(1, None).graph_evidence().output(0).unwrap();
        let mut lie = staged::genesis(1, flip(node));
        let mut dispute = Box::new(Dispute::zeroed());
        let graph = lie.graph_evidence();
        let entries = (0..).take_while(|entry| graph.output(*entry).is_some()).count() as u32;
        ground_of(&mut dispute, CaseKind::Genesis, &graph, lie.root().unwrap(), entries);
        let defender = Defender::new(Arc::new(graph), lie);
        let truth = staged::genesis(1, None);
        let challenger = Challenger::new(Arc::new(truth.graph_evidence()), truth);
        let names = shown(&played(&mut dispute, defender, challenger));
        assert_eq!(names, ["genesis state", "node", "chunk", "element", "piece"]);

        // A vote for a mean.
        let states = [3.0f32, 5.0].map(|value| staged::state(&[vec![value.to_bits(); 600]]));
        let node = staged::average(&states, None).graph_evidence().output(0).unwrap();
        let mut lie = staged::average(&states, flip(node));
        let mut dispute = Box::new(Dispute::zeroed());
        let graph = lie.graph_evidence();
        ground_of(&mut dispute, CaseKind::Aggregate, &graph, lie.root().unwrap(), 1);
        (dispute.game.ground.base_entries, dispute.game.ground.base_count) = (1, 2);
        for (base, state) in dispute.game.ground.bases.iter_mut().zip(&states) {
            *base = state.root();
        }
        let truth = staged::average(&states, None);
        let challenger = Challenger::new(Arc::new(truth.graph_evidence()), truth);
        let names = shown(&played(&mut dispute, Defender::new(Arc::new(graph), lie), challenger));
        assert_eq!(names, ["vote", "node", "chunk", "element", "piece"]);

        // An attestation of a true segment.
        let scene = Scene::new(6, 2);
        let lie = Lie::Output { step: 2, node: node::CONTRACTED, element: 1, bit: 20 };
        let (honest, claimed) = (scene.run(None), scene.run(Some(lie)));
        let mut dispute = Box::new(Dispute::zeroed());
        dispute.game.ground = honest.ground();
        dispute.game.ground.case = CaseKind::Attestation as u32;
        (dispute.game.leaf, dispute.game.trace_root) = (1, claimed.trace_root(2));
        let defender = Defender::new(honest.graph(), claimed);
        let positions = played(&mut dispute, defender, Challenger::new(honest.graph(), honest));
        assert_eq!(shown(&positions[..1]), ["attestation", "leaf", "step"]);
        assert!(head(&positions[0], None)[1].contains("opens the leaf that was attested"));
        assert_eq!(shown(&positions), ["attestation", "leaf", "step", "node", "chunk", "element", "piece"]);

        // A scoring run is played like a segment.
        let mut position = *self::positions(node::CONTRACTED).last().unwrap();
        position.game.ground.case = CaseKind::Score as u32;
        assert_eq!(shown(&[position]), ["scoring run", "leaf", "step", "node", "chunk", "element", "piece"]);
    }

    /// A dispute over one flipped bit, before every move and at its end.
    fn positions(node: u32) -> Vec<Dispute> {
        let scene = Scene::new(6, 2);
        // A number beyond the vocabulary would be no batch at all.
        let bit = if node == node::BATCH { 0 } else { 20 };
        let lie = Lie::Output { step: 3, node, element: 1, bit };
        let (honest, claimed) = (scene.run(None), scene.run(Some(lie)));
        let mut dispute = Box::new(Dispute::zeroed());
        dispute.game.ground = claimed.ground();
        let defender = Defender::new(claimed.graph(), claimed);
        played(&mut dispute, defender, Challenger::new(honest.graph(), honest))
    }

    #[test]
    fn a_path_grows_level_by_level_down_to_the_piece() {
        let positions = positions(node::CONTRACTED);
        let depths: Vec<usize> = positions.iter().map(|position| path(position).len()).collect();
        assert!(depths.is_sorted(), "{depths:?}");
        assert_eq!((depths[0], depths.last().copied()), (1, Some(7)));
        let end = positions.last().unwrap();
        let levels = path(end);
        let names: Vec<&str> = levels.iter().map(|level| level.name).collect();
        assert_eq!(names, ["segment", "leaf", "step", "node", "chunk", "element", "piece"]);
        assert_eq!((levels[1].place, levels[2].place), (Some((1, 3)), Some((1, 2))));
        assert!(levels[3].what.starts_with(&format!("{}: contract of shape", node::CONTRACTED)), "{}", levels[3].what);
        assert_eq!(levels[5].place.unwrap().0, 1);
        // The values that convicted the trainer give something else than it claims.
        let piece = &levels[6];
        assert!(piece.recomputed.is_some() && piece.recomputed != piece.claimed);
        assert!(head(end, None)[1].starts_with("Decided: convicted"));
    }

    #[test]
    fn every_position_is_shown_as_text_picture_and_json() {
        for node in [node::MAX, node::BATCH, node::UPDATED, node::SCATTERED] {
            for position in positions(node) {
                let levels = path(&position);
                assert!(lines(&levels).len() >= levels.len());
                let picture = svg("Dispute <a> & b", &head(&position, Some(9)), &levels);
                assert!(picture.contains("Dispute &lt;a&gt; &amp; b") && picture.ends_with("</svg>\n"));
                let shown = json(&position, Some(9), &levels);
                assert_eq!(shown["levels"].as_array().unwrap().len(), levels.len());
            }
        }
    }

    #[test]
    fn the_clock_of_the_side_on_move_runs() {
        let position = positions(node::SUM)[0];
        assert_eq!(clock_slots(&position, Side::Trainer, Some(15)), 990);
        assert_eq!(clock_slots(&position, Side::Challenger, Some(15)), 1000);
        assert_eq!(clock_slots(&position, Side::Trainer, None), 1000);
        assert_eq!(clock_slots(&position, Side::Trainer, Some(5000)), 0);
    }

    #[test]
    fn files_are_raw_or_json_and_anything_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let position = positions(node::SUM)[1];
        let bytes = bytemuck::bytes_of(&position);
        let raw = folder.path().join("raw");
        std::fs::write(&raw, bytes).unwrap();
        let wrapped = folder.path().join("account.json");
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        std::fs::write(&wrapped, format!("{{\"account\": {{\"data\": [\"{text}\", \"base64\"]}}}}")).unwrap();
        for path in [&raw, &wrapped] {
            let read = decode(&file(path).unwrap(), "file").unwrap();
            assert_eq!(read.game.phase, Phase::PickLeaf as u32);
        }
        std::fs::write(&raw, &bytes[1..]).unwrap();
        assert!(decode(&file(&raw).unwrap(), "file").is_err());
        for text in ["{", "{}", "{\"data\": [\"!\"]}"] {
            std::fs::write(&wrapped, text).unwrap();
            assert!(file(&wrapped).is_err(), "{text}");
        }
        assert!(file(&folder.path().join("nothing")).is_err());
    }

    #[test]
    fn whatever_an_account_holds_is_shown_without_a_panic() {
        let good = *positions(node::CONTRACTED).last().unwrap();
        for seed in 0..2000u32 {
            let mut position = good;
            let game: &mut Game = &mut position.game;
            let bytes = bytemuck::bytes_of_mut(game);
            for number in 0..8u32 {
                let at =
                    seed.wrapping_mul(2_654_435_761).wrapping_add(number.wrapping_mul(40_503)) as usize % bytes.len();
                bytes[at] = bytes[at].wrapping_add(seed as u8 | 1);
            }
            game.phase = seed % 26;
            let levels = path(&position);
            svg("", &head(&position, Some(u64::MAX)), &levels);
        }
    }
}
