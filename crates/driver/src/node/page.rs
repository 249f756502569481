//! The node's page on its own machine: how it stands, for people, for load balancers and for Prometheus.

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::sessions::Session;
use super::status::Status;

/// A status that is older than this is no sign of health.
const FRESH_SECONDS: u64 = 120;
/// Most bytes of a request's first line.
const LINE_BYTES: usize = 8 << 10;
/// How long a client may take for all of its question, and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Clients at once; more are hung up on.
const CLIENTS: usize = 16;

/// A page that is served until this is dropped.
pub struct Page {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Page {
    /// Serves a status on an address of this machine.
    ///
    /// # Errors
    /// Where the address is not of this machine alone, or in use.
    pub fn start(address: SocketAddr, status: Arc<Mutex<Status>>) -> Result<Page> {
        ensure!(
            address.ip().is_loopback(),
            "--page {address} is open to others; name an address of this machine, like 127.0.0.1:9464"
        );
        let listener = TcpListener::bind(address)
            .with_context(|| format!("cannot serve the page on {address}; --page names another address"))?;
        let (address, stop) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            let clients = Arc::new(AtomicUsize::new(0));
            for client in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                if clients.load(Ordering::Relaxed) >= CLIENTS {
                    continue;
                }
                let (status, clients) = (Arc::clone(&status), Arc::clone(&clients));
                clients.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || {
                    let _ = answer(client, &status);
                    clients.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Ok(Page { address, stop })
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
    }
}

/// The first line of a request, within the time for all of it.
fn first_line(client: &mut TcpStream) -> std::io::Result<String> {
    let end = Instant::now() + PATIENCE;
    let (mut line, mut some) = (Vec::new(), [0; 512]);
    while !line.contains(&b'\n') && line.len() < LINE_BYTES {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        client.set_read_timeout(Some(left))?;
        match client.read(&mut some)? {
            0 => break,
            count => line.extend_from_slice(&some[..count]),
        }
    }
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    Ok(String::from_utf8_lossy(&line[..end]).trim_end().to_owned())
}

fn answer(mut client: TcpStream, status: &Mutex<Status>) -> std::io::Result<()> {
    client.set_write_timeout(Some(PATIENCE))?;
    let line = first_line(&mut client)?;
    let status = &status.lock().map(|status| status.clone()).unwrap_or_default();
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (code, kind, body) = match (method, path) {
        ("GET", "/") => (200, "text/html; charset=utf-8", page(status)),
        ("GET", "/healthz") => {
            let is_well = is_well(status);
            let ended =
                status.sessions.iter().find(|session| !session.state.signs()).map(|session| session.line.clone());
            let said = status.why.clone().or(ended).unwrap_or_else(|| status.state.words().to_owned());
            (if is_well { 200 } else { 503 }, "text/plain; charset=utf-8", format!("{said}\n"))
        }
        ("GET", "/metrics") => (200, "text/plain; version=0.0.4; charset=utf-8", metrics(status)),
        ("GET", "/status.json") => (200, "application/json", serde_json::to_string(status).unwrap_or_default() + "\n"),
        _ => (404, "text/plain; charset=utf-8", "there are /, /healthz, /metrics and /status.json\n".into()),
    };
    let reason = match code {
        200 => "OK",
        503 => "Service Unavailable",
        _ => "Not Found",
    };
    let bytes = body.len();
    write!(
        client,
        "HTTP/1.1 {code} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {bytes}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}"
    )
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn is_well(status: &Status) -> bool {
    let signs = status.sessions.iter().all(|session| session.state.signs());
    now().saturating_sub(status.written) < FRESH_SECONDS && status.why.is_none() && signs
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page follows the node without being loaded anew: what is selected or read stays where it is.
const REFRESH: &str = "setInterval(()=>fetch('/').then(r=>r.text()).then(t=>{const m=new DOMParser().parseFromString(t,'text/html').querySelector('main'),\
                       o=document.querySelector('main');if(m&&m.innerHTML!==o.innerHTML)o.replaceWith(m)}).catch(()=>{}),5e3)";

/// How a node stands, for people: the lines of "sip node status".
fn page(status: &Status) -> String {
    let mut rows = String::new();
    for (name, value) in status.rows() {
        let _ = write!(rows, "<tr><th>{}</th><td>{}</td></tr>", escaped(&name), escaped(&value));
    }
    let lines: String = status.said.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>sip node</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}th{{text-align:left;\
         padding-right:1.5rem;vertical-align:top;font-weight:500}}td{{overflow-wrap:anywhere}}@media(prefers-color-scheme:dark){{body{{background:#14181b;\
         color:#e6e3dc}}}}@media(max-width:600px){{th,td{{display:block;padding:0}}}}</style>\
         <main><h1>sip node</h1><table>{rows}</table><h2>What happened last</h2><ul>{lines}</ul></main><script>{REFRESH}</script></html>\n"
    )
}

/// The same as numbers.
fn metrics(status: &Status) -> String {
    let margin = status.until_slot.map_or(0, |end| end.saturating_sub(status.slot));
    let own = status.awaited.iter().filter(|awaited| awaited.is_own).count();
    let (total, working) = (&status.total, status.computing_seconds.unwrap_or(0));
    let numbers: [(&str, &str, &str, f64); 17] = [
        ("sip_up", "gauge", "whether nothing keeps the node from going on", f64::from(u8::from(is_well(status)))),
        ("sip_slot", "counter", "slot of the last look", status.slot as f64),
        ("sip_slot_milliseconds", "gauge", "how long a slot lasts", status.slot_milliseconds),
        ("sip_round", "counter", "the newest round, from 1", f64::from(status.round)),
        ("sip_rounds_scored_total", "counter", "rounds that count", f64::from(status.rounds_scored)),
        ("sip_phase_left_slots", "gauge", "slots until the phase ends", margin as f64),
        ("sip_awaited", "gauge", "seats that the phase waits for", status.awaited.len() as f64),
        ("sip_awaited_own", "gauge", "seats of this node among them", own as f64),
        ("sip_computing_seconds", "gauge", "how long the present work has taken", working as f64),
        ("sip_fetches", "gauge", "states that are being fetched", status.fetching as f64),
        ("sip_peers", "gauge", "peers that serve", status.peers as f64),
        ("sip_bytes_out_total", "counter", "bytes that others got", status.bytes_out as f64),
        ("sip_shelf_bytes", "gauge", "bytes of states and tokens on the disk", status.shelf_bytes as f64),
        ("sip_transactions_total", "counter", "transactions", total.transactions as f64),
        ("sip_fee_lamports_total", "counter", "fees", total.fee_lamports as f64),
        ("sip_wallet_lamports", "gauge", "lamports in the wallet", status.wallet_lamports.unwrap_or(0) as f64),
        ("sip_tokens_earned_base_units", "gauge", "tokens that came, less those that went", total.tokens as f64),
    ];
    let mut text = String::new();
    for (name, kind, help, number) in numbers {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {number}\n");
    }
    text + &session_metrics(status)
}

/// How long the wallet signs for pools of others: nothing where it does so for none.
fn session_metrics(status: &Status) -> String {
    let mut text = String::new();
    /// Name, help, and what a session has in a slot.
    type Gauge = (&'static str, &'static str, fn(&Session, u64) -> u64);
    let gauges: [Gauge; 2] = [
        (
            "sip_session_left_slots",
            "slots in which the session key signs for the pool; 0 once it does no more",
            |it, slot| {
                if it.state.signs() { it.until_slot.saturating_sub(slot) } else { 0 }
            },
        ),
        ("sip_session_ends_unix_seconds", "when the session ends, by the clock", |it, _| it.until),
    ];
    for (name, help, number) in gauges.iter().filter(|_| !status.sessions.is_empty()) {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for session in &status.sessions {
            let _ = writeln!(text, "{name}{{pool=\"{}\"}} {}", session.pool, number(session, status.slot));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::status::State;
    use super::*;

    fn ask(address: SocketAddr, path: &str) -> String {
        let mut client = TcpStream::connect(address).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_page_says_how_the_node_stands_and_is_open_to_this_machine_alone() {
        let status =
            Status { state: State::Running, slot: 7, written: now(), said: vec!["<b>".into()], ..Status::default() };
        let status = Arc::new(Mutex::new(status));
        assert!(Page::start("0.0.0.0:0".parse().unwrap(), Arc::clone(&status)).is_err());
        let page = Page::start("127.0.0.1:0".parse().unwrap(), Arc::clone(&status)).unwrap();
        assert!(ask(page.address(), "/").contains("<li>&lt;b&gt;</li>"));
        assert!(ask(page.address(), "/healthz").starts_with("HTTP/1.1 200 "));
        assert!(ask(page.address(), "/metrics").contains("\nsip_slot 7\n"));
        assert!(ask(page.address(), "/other").starts_with("HTTP/1.1 404 "));
        // Those who say nothing, or a byte at a time, keep nobody from it, and are hung up on.
        let begun = Instant::now();
        let mut slow: Vec<TcpStream> = (0..CLIENTS - 2).map(|_| TcpStream::connect(page.address()).unwrap()).collect();
        assert!(ask(page.address(), "/healthz").starts_with("HTTP/1.1 200 "));
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
        while begun.elapsed() < PATIENCE * 2 && slow[0].write_all(b"G").is_ok() {
            std::thread::sleep(PATIENCE / 10);
        }
        assert!(begun.elapsed() < PATIENCE * 2, "a byte at a time holds it");
        status.lock().unwrap().why = Some("the chain does not answer".into());
        let unwell = ask(page.address(), "/healthz");
        assert!(unwell.starts_with("HTTP/1.1 503 ") && unwell.ends_with("the chain does not answer\n"), "{unwell}");
    }
}
