//! A job whose old rounds are closed: the watchtower closes them, keeps what they were, and goes on; a verifier reads the copies, and believes
//! none that became final otherwise.

use super::*;
use crate::verify::finding;
use sip_demo::job_address;
use sip_protocol::training::evaluation::ScoringRun;

#[test]
fn closed_rounds_are_verified_from_the_archive_and_no_other_copy_of_a_final_one_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let mut settings = Settings { rounds: 3, audit_rate: 0.5, ..settings(Vec::new()) };
    prepare::tokenize(&mut settings, &[], 60_000, &store, &|_| ()).unwrap();
    let mut run = Run::begin(settings, store.clone(), Progress::new(true), Stop::default()).unwrap();
    assert!(run.round().unwrap() && run.round().unwrap());
    let job: Job = run.world.read(&job_address(&run.world)).unwrap();
    run.world.ledger.advance_slots(job.parameters.unbonding_slots).unwrap();
    run.save().unwrap();
    assert_eq!(finding(folder.path()).unwrap(), (0, None));

    let key = auditor(&run.world.people);
    let mut said = Vec::new();
    let operator = Arguments { operator: true, ..arguments(folder.path()) };
    follow(&store, &operator, &key, &mut |event| said.push(event.to_string()), &mut || true).unwrap();
    assert!(!said.iter().any(|line| line.contains("refused")), "{said:?}");
    let ledger = restore(&store.ledger(2)).unwrap();
    let program = Program::default();
    let [first, last] = [0, 1].map(|index| program.round(&job_address(&run.world), index));
    assert!(ledger.account(&first).is_none() && ledger.account(&last).is_some(), "{said:?}");
    let left = ledger.program_accounts(&program.id);
    assert_eq!(left.iter().filter(|(_, account)| Round::decode(&account.data).is_ok()).count(), 1);
    let is_of_first = |account: &Account| {
        Segment::decode(&account.data).is_ok_and(|segment| segment.round == first.to_bytes())
            || ScoringRun::decode(&account.data).is_ok_and(|scoring| scoring.round == first.to_bytes())
    };
    assert!(!left.iter().any(|(_, account)| is_of_first(account)));
    let (closed, difference) = finding(folder.path()).unwrap();
    assert_eq!(difference, None);
    // The round, its three segments and its scoring runs at least.
    assert!(closed > 4, "{closed}");

    // Another watchtower that comes now finds them closed, says so, and has nothing to do.
    let late = folder.path().join("late");
    let mut heard = Vec::new();
    let state = Arguments { state: Some(late), ..arguments(folder.path()) };
    follow(&store, &state, &key, &mut |event| heard.push(event.to_string()), &mut || true).unwrap();
    assert!(heard.iter().any(|line| line.contains("closed on chain")), "{heard:?}");

    // A copy that was changed is none of a final round, and without one the verifier says what it lacks.
    let copy = store.archive().join(format!("{first}.account"));
    let bytes = std::fs::read(&copy).unwrap();
    let mut changed: Round = Round::decode(&bytes).unwrap();
    changed.reward += 1;
    std::fs::write(&copy, bytemuck::bytes_of(&changed)).unwrap();
    let difference = finding(folder.path()).unwrap().1.unwrap();
    assert!(difference.contains("history") || difference.contains("journal"), "{difference}");
    std::fs::remove_file(&copy).unwrap();
    let error = finding(folder.path()).unwrap().1.unwrap();
    assert!(error.contains("is closed on chain") && error.contains("archive"), "{error}");
}
