//! A manifest as bytes: read again it is the same, and no other bytes are read.

use bytemuck::Zeroable;
use sip_manifest::bytes::{BYTES_MAX, HEAD_BYTES, MAGIC};
use sip_manifest::commits::{Difference, difference};
use sip_manifest::example;
use sip_manifest::table::{Rotary, Rule, Table};
use sip_manifest::value::{Domain, Manifest, Part};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::JobSpec;

/// Numbers that follow from a seed (Marsaglia 2003).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn refused(bytes: &[u8], reason: &str) {
    let error = Manifest::from_bytes(bytes).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}, expected {reason}");
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    for is_compressed in [false, true] {
        let manifest = example::manifest(is_compressed);
        let bytes = manifest.to_bytes();
        assert!(bytes.starts_with(&MAGIC));
        let again = Manifest::from_bytes(&bytes).unwrap();
        assert_eq!(again, manifest);
        assert_eq!(again.hash(), *blake3::hash(&bytes).as_bytes());
    }
}

#[test]
fn tables_of_elements_and_an_import_are_read_too() {
    let mut manifest = example::manifest(false);
    manifest.graphs.remove(&Part::Genesis);
    manifest.genesis_seed = 0;
    (manifest.model, manifest.optimizer) = (None, None);
    manifest.tables[1] = Table::of(Rule::Elements(vec![1, u32::MAX, 7]));
    let again = Manifest::from_bytes(&manifest.to_bytes()).unwrap();
    assert_eq!(again, manifest);
    assert_eq!(again.elements().unwrap()[1][..], [1, u32::MAX, 7]);
    assert_eq!(again.commits().unwrap().init_node_count, 0);
}

#[test]
fn a_word_that_was_changed_is_refused_or_gives_another_manifest_with_the_same_bytes() {
    for is_compressed in [false, true] {
        let bytes = example::manifest(is_compressed).to_bytes();
        let mut state = 0x9E37_79B9_7F4A_7C15;
        for step in 0..200 {
            let mut changed = bytes.clone();
            // Half of the changes hit the head, the domains and the tables.
            let most = if step % 2 == 0 { HEAD_BYTES + 400 } else { bytes.len() };
            for _ in 0..=random(&mut state) % 3 {
                let at = random(&mut state) as usize % most;
                changed[at] ^= 1 << (random(&mut state) % 8);
            }
            if let Ok(other) = Manifest::from_bytes(&changed) {
                assert_eq!(other.to_bytes(), changed);
            }
        }
    }
}

#[test]
fn a_manifest_that_is_cut_or_goes_on_is_refused() {
    let bytes = example::manifest(true).to_bytes();
    let mut state = 1;
    let mut lengths: Vec<usize> = (0..100).map(|_| random(&mut state) as usize % bytes.len()).collect();
    lengths.extend(0..HEAD_BYTES);
    for len in lengths {
        assert!(Manifest::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
    }
    refused(&[&bytes[..], &[0]].concat(), "follow the manifest");
}

#[test]
fn counts_beyond_the_bytes_make_no_room() {
    let bytes = example::manifest(false).to_bytes();
    // Domains, tables, graphs: the last three words of the head.
    for (back, reason) in [(12, "the number of domains"), (8, "the number of tables"), (4, "bytes should follow")] {
        let mut changed = bytes.clone();
        changed[HEAD_BYTES - back..HEAD_BYTES - back + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Manifest::from_bytes(&changed).is_err(), "{reason}");
    }
    assert!(Manifest::from_bytes(&vec![0; BYTES_MAX + 1]).is_err());
}

#[test]
fn parts_that_belong_together_are_all_there() {
    let whole = example::manifest(false);
    let without = |part: Part| {
        let mut manifest = whole.clone();
        manifest.graphs.remove(&part);
        manifest.to_bytes()
    };
    for part in [Part::Step, Part::Scoring, Part::Average(1), Part::Average(16)] {
        refused(&without(part), "is missing");
    }
    refused(&without(Part::Genesis), "a seed belongs to a graph");
    let mut manifest = example::manifest(true);
    manifest.graphs.remove(&Part::Update);
    refused(&manifest.to_bytes(), "graphs of updates");
    let mut manifest = whole.clone();
    manifest.reset_root = [1; 32];
    refused(&manifest.to_bytes(), "reset and codec");
    let mut manifest = whole;
    let angles = Rotary { pairs: 1 << 16, positions: 1 << 16, theta: 2.0 };
    manifest.tables[1].rule = Rule::Cosines(angles);
    refused(&manifest.to_bytes(), "is larger than");
}

#[test]
fn a_table_whose_rule_gives_another_root_is_no_table() {
    let mut manifest = example::manifest(false);
    manifest.tables[0].root[0] ^= 1;
    let error = manifest.elements().unwrap_err().to_string();
    assert!(error.contains("table 0 of the manifest has another root"), "{error}");
}

#[test]
fn a_job_on_chain_is_compared_in_everything_that_it_computes_with() {
    for is_compressed in [false, true] {
        let manifest = example::manifest(is_compressed);
        let commits = manifest.commits().unwrap();
        assert_eq!(manifest.check(&commits, &registered(&manifest)).unwrap(), None);
        // The creator's terms are no business of the manifest.
        let terms = JobSpec { audit_rate: 7, commit_slots: 8, slice: 9, seed: [1; 32], ..commits };
        assert_eq!(difference(&commits, &terms), None);
        let change: [&dyn Fn(&mut JobSpec); 20] = [
            &|job| job.nodes_root[0] ^= 1,
            &|job| job.outputs_root[0] ^= 1,
            &|job| job.tables_root[0] ^= 1,
            &|job| job.score_nodes_root[0] ^= 1,
            &|job| job.score_outputs_root[0] ^= 1,
            &|job| job.aggregates_root[0] ^= 1,
            &|job| job.update_graphs_root[0] ^= 1,
            &|job| job.reset_update_root[0] ^= 1,
            &|job| job.init_nodes_root[0] ^= 1,
            &|job| job.node_count ^= 1,
            &|job| job.score_node_count ^= 1,
            &|job| job.update_entries ^= 1,
            &|job| job.base_entries ^= 1,
            &|job| job.inner_steps ^= 1,
            &|job| job.leaf_interval ^= 1,
            &|job| job.batch ^= 1,
            &|job| job.sequence_length ^= 1,
            &|job| job.score_windows ^= 1,
            &|job| job.score_leaf_interval ^= 1,
            &|job| job.domain_count ^= 1,
        ];
        for (number, change) in change.iter().enumerate() {
            let mut job = commits;
            change(&mut job);
            assert!(matches!(difference(&commits, &job), Some(Difference::Other(_))), "change {number}");
        }
        let mut job = commits;
        job.genesis_root[0] ^= 1;
        assert_eq!(difference(&commits, &job), Some(Difference::Genesis));
    }
}

/// The datasets of its domains, as an honest creator has registered them.
fn registered(manifest: &Manifest) -> Vec<Option<Box<Dataset>>> {
    let dataset = |domain: &Domain| Dataset {
        train_root: domain.train_root,
        held_out_root: domain.heldout_root,
        train_tokens: domain.train_tokens,
        held_out_tokens: domain.heldout_tokens,
        ..Dataset::zeroed()
    };
    manifest.domains.iter().map(|domain| Some(Box::new(dataset(domain)))).collect()
}

#[test]
fn a_manifest_that_names_other_tokens_than_are_registered_is_not_the_jobs() {
    let manifest = example::manifest(false);
    let commits = manifest.commits().unwrap();
    let change: [&dyn Fn(&mut Dataset); 4] = [
        &|dataset| dataset.train_root[5] ^= 1,
        &|dataset| dataset.held_out_root[5] ^= 1,
        // Every chunk but the last has its place under the same root, and every window is drawn elsewhere.
        &|dataset| dataset.train_tokens -= 1,
        &|dataset| dataset.held_out_tokens += 1,
    ];
    for number in 0..manifest.domains.len() {
        for change in change {
            let mut datasets = registered(&manifest);
            datasets[number].as_deref_mut().map(change).unwrap();
            let difference = manifest.check(&commits, &datasets).unwrap();
            assert_eq!(difference, Some(Difference::Data(number)));
            let words = manifest.words(difference.unwrap());
            assert!(words.contains(&manifest.domains[number].name), "{words}");
            // It comes before a false genesis state, which alone makes no job another.
            let mut job = commits;
            job.genesis_root[0] ^= 1;
            assert_eq!(manifest.check(&job, &datasets).unwrap(), difference);
            // Nor is what cannot be read: a dataset of another layout, or a chain that shows nothing for once.
            datasets[number] = None;
            assert_eq!(manifest.check(&commits, &datasets).unwrap(), difference);
        }
    }
}

/// Rows of a page's table of these columns.
fn rows<'a>(page: &'a str, columns: &str) -> Vec<Vec<&'a str>> {
    let after = page.split_once(columns).expect("the table is there").1;
    let lines = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Bytes out of the digits between backticks.
fn digits(cells: &str) -> Vec<u8> {
    let digits: Vec<u8> = cells.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_fields_of_the_head_stand_where_the_page_says() {
    let page = include_str!("../../../../docs/spec/manifest.md");
    let mut at = 0;
    for row in rows(page, "| offset | type | field |") {
        assert_eq!(row[0].parse::<usize>().unwrap(), at, "{row:?}");
        at += match row[1] {
            "u32" => 4,
            "u64" => 8,
            "32" => 32,
            "16 bytes" => 16,
            "" => 0,
            words => 4 * words.strip_suffix(" × u32").unwrap().parse::<usize>().unwrap(),
        };
    }
    assert_eq!(at, HEAD_BYTES);
}

#[test]
fn the_examples_of_the_pages_are_what_the_code_gives() {
    let page = include_str!("../../../../docs/spec/graphs.md");
    let bytes: Vec<u8> = rows(page, "| bytes | meaning |").iter().flat_map(|row| digits(row[0])).collect();
    let graph = sip_graph::Graph::from_bytes(&bytes).unwrap();
    assert_eq!(graph.results(), [("double".to_owned(), 1)]);
    let nodes: Vec<Vec<u8>> = graph.nodes().iter().map(|node| node.encode()).collect();
    let roots = sip_proof::GraphRoots::new(&nodes, graph.state_outputs(), &[]);
    let given = rows(page, "| root | value |");
    let expected = [roots.nodes_root, roots.outputs_root, [0; 32], roots.root::<sip_proof::HostSha256>()];
    for (row, root) in given.iter().zip(expected).filter(|(row, _)| row[1].starts_with('`')) {
        assert_eq!(digits(row[1]), root, "{row:?}");
    }
    let page = include_str!("../../../../docs/spec/tables.md");
    let schedule = sip_model::Schedule {
        peak_rate: 2e-3,
        warmup_steps: 1,
        total_steps: 3,
        final_share: 0.1,
        shape: sip_model::Shape::Cosine,
    };
    let angles = Rotary { pairs: 1, positions: 3, theta: 10_000.0 };
    for rule in [Rule::Steps { schedule, beta1: 0.9, beta2: 0.95 }, Rule::Cosines(angles), Rule::Sines(angles)] {
        let table = Table::of(rule);
        let root: String = table.root.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(page.contains(&root), "{}", table.rule.name());
        for word in table.elements().unwrap().iter() {
            assert!(page.contains(&format!("{word:08x}")), "{word:08x} of {}", table.rule.name());
        }
    }
}
