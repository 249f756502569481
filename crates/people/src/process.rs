//! Processes that outlive the command that started them, and are known again.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sip_data::shown_path;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process that was asked to end may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process, and when it began: its number alone may be another's by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    began: String,
}

impl Process {
    /// Starts a program of its own group, which Ctrl-C here does not reach, with its output in a file.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Process> {
        let open = || File::options().create(true).append(true).open(log);
        let shown = shown_path(log);
        let file = open().with_context(|| format!("cannot write {shown}"))?;
        let again = file.try_clone().with_context(|| format!("cannot write {shown}"))?;
        command.stdin(Stdio::null()).stdout(file).stderr(again);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().context("cannot start a process")?;
        let pid = child.id();
        // It is let go here; the system clears up after it.
        drop(child);
        let began = began(pid).with_context(|| format!("a process ended at once; {shown} says why"))?;
        Ok(Process { pid, began })
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        began(self.pid).is_some_and(|began| began == self.began)
    }

    /// Asks it to end.
    pub(crate) fn ask(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// Waits until it has ended; ends it by force where it takes too long.
    pub(crate) fn wait(&self) -> Result<()> {
        let begin = Instant::now();
        while self.runs() {
            if begin.elapsed() > PATIENCE {
                self.signal("KILL")?;
            }
            ensure!(begin.elapsed() < PATIENCE * 2, "the process {} does not end", self.pid);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn signal(&self, name: &str) -> Result<()> {
        if self.runs() {
            let pid = self.pid.to_string();
            let sent = Command::new("kill").args(["-s", name, &pid]).stderr(Stdio::null()).status();
            let sent = sent.with_context(|| format!("cannot end the process {pid}: there is no command \"kill\""))?;
            ensure!(sent.success() || !self.runs(), "cannot end the process {pid}");
        }
        Ok(())
    }
}

/// When a process began, as the system counts; nothing where it does not run.
#[cfg(target_os = "linux")]
fn began(pid: u32) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold blanks; behind it come the state, and nineteen fields on the beginning.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let is_dead = matches!(fields.first(), None | Some(&("Z" | "X")));
    if is_dead { None } else { fields.get(19).map(|began| (*began).to_owned()) }
}

#[cfg(not(target_os = "linux"))]
fn began(pid: u32) -> Option<String> {
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (state, began) = line.split_once(' ')?;
    if state.starts_with('Z') { None } else { Some(began.trim().to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_and_another_of_its_number_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let process = Process::start(command, &folder.path().join("log")).unwrap();
        assert!(process.runs());
        let other = Process { began: "0".into(), ..process.clone() };
        assert!(!other.runs());
        other.ask().unwrap();
        assert!(process.runs());
        process.ask().unwrap();
        process.wait().unwrap();
        assert!(!process.runs());
    }
}
