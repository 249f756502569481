//! Bytes a second of a fetch on this machine, against a plain stream of the same file in the same run:
//! `cargo run --release -p sip-net --example transfer -- [MEBIBYTES [FOLDER]]`.
//!
//! The plain stream reads the file, sends it over a socket of this machine, writes it beside and flushes it to the disk: what a fetch does
//! besides is to ask, to check every group, and to keep what opens it.

use sip_net::{Bans, FetchLimits, Fetcher, Http, Item, Peer, ServeLimits, Server, Shelf, Want};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const RUNS: usize = 5;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mebibytes: u64 = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let folder =
        arguments.next().map_or_else(std::env::temp_dir, Into::into).join(format!("transfer-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder, mebibytes << 20);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, bytes: u64) -> Outcome<()> {
    let shelf = Shelf::open(&folder.join("giver"))?;
    let path = folder.join("file");
    write_by_chance(&path, bytes)?;
    let blob = shelf.put_file(&path)?;
    let entries: Vec<Vec<u32>> = (0..120).map(|entry| vec![entry; (bytes / 4 / 120) as usize]).collect();
    let state = shelf.put_state(&entries.iter().map(|entry| &entry[..]).collect::<Vec<_>>())?;
    let servers = [0, 1].map(|_| Server::start(([127, 0, 0, 1], 0).into(), &shelf, ServeLimits::default()));
    let servers = servers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut rates: [Vec<f64>; 5] = Default::default();
    for _ in 0..RUNS {
        rates[0].push(bytes as f64 / plain(&path, None)?);
        rates[1].push(bytes as f64 / plain(&path, Some(&folder.join("copy")))?);
        rates[2].push(bytes as f64 / fetch(folder, &blob, &servers[..1])?);
        rates[3].push(bytes as f64 / fetch(folder, &blob, &servers)?);
        rates[4].push(state.bytes() as f64 / fetch(folder, &state, &servers[..1])?);
    }
    let hashed = hash_rate();
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2] / 1e6
    };
    let [socket, stream, one, two, list] = rates.each_mut().map(median);
    println!("{} MiB, medians of {RUNS} runs in turn, in MB/s", bytes >> 20);
    println!("  plain stream, thrown away        {socket:7.0}");
    println!("  plain stream, to the disk        {stream:7.0}");
    println!("  blob from one peer               {one:7.0}   {:.2} of the stream to the disk", one / stream);
    println!("  blob from two peers              {two:7.0}   {:.2}", two / stream);
    println!("  state of 120 entries, one peer   {list:7.0}   {:.2}", list / stream);
    println!("  hashing alone, one thread        {:7.0}", hashed / 1e6);
    Ok(())
}

fn write_by_chance(path: &Path, bytes: u64) -> Outcome<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut state = 1u64;
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// Seconds that a plain stream of a file takes.
fn plain(path: &Path, copy: Option<&Path>) -> Outcome<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut file = std::fs::File::open(path)?;
    let began = Instant::now();
    let sending = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                count => stream.write_all(&buffer[..count])?,
            }
        }
    });
    let mut stream = TcpStream::connect(address)?;
    let mut out = copy.map(std::fs::File::create).transpose()?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            count => out.iter_mut().try_for_each(|out| out.write_all(&buffer[..count]))?,
        }
    }
    out.iter().try_for_each(|out| out.sync_data())?;
    let seconds = began.elapsed().as_secs_f64();
    sending.join().map_err(|_| "the sender failed")??;
    copy.map(std::fs::remove_file).transpose()?;
    Ok(seconds)
}

/// Seconds that a fetch to an empty shelf takes.
fn fetch(folder: &Path, item: &Item, servers: &[Server]) -> Outcome<f64> {
    let taker = folder.join("taker");
    let shelf = Shelf::open(&taker)?;
    let peers: Vec<Peer> = servers
        .iter()
        .enumerate()
        .map(|(number, server)| Peer { id: [number as u8; 32], address: server.address().to_string() })
        .collect();
    let fetcher = Fetcher::new(
        Arc::new(Http),
        shelf.clone(),
        Arc::new(Bans::new(Duration::from_secs(60))),
        FetchLimits::default(),
    );
    let (stop, by) = (AtomicBool::new(false), Instant::now() + Duration::from_secs(600));
    let peers = || peers.clone();
    let fetched = fetcher.fetch(&Want { item, ranges: None, peers: &peers, by, stop: &stop }, &|_| {})?;
    drop(fetcher);
    drop(shelf);
    std::fs::remove_dir_all(&taker)?;
    Ok(fetched.seconds)
}

/// Bytes a second that one thread checks.
fn hash_rate() -> f64 {
    let bytes = vec![1; 64 << 20];
    let began = Instant::now();
    std::hint::black_box(blake3::hash(&bytes));
    bytes.len() as f64 / began.elapsed().as_secs_f64()
}
