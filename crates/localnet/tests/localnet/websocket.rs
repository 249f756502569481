//! What subscribers are told, and what hostile peers are not given.

use crate::common::*;
use serde_json::{Value, json};
use sip_localnet::{Limits, Localnet};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

struct Client(WebSocket<TcpStream>);

impl Client {
    fn connect(chain: &Localnet) -> Self {
        let url = chain.websocket_url();
        let stream = TcpStream::connect(authority(&url)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(tungstenite::client(url, stream).unwrap().0)
    }

    fn send(&mut self, method: &str, params: Value) {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.0.send(Message::text(request.to_string())).unwrap();
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(self.0.read().unwrap().to_text().unwrap()).unwrap()
    }

    fn subscribe(&mut self, method: &str, params: Value) -> u64 {
        self.send(method, params);
        let answer = self.next();
        answer["result"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }
}

#[test]
fn subscribers_hear_of_accounts_programs_logs_and_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let (alice, bob) = (funded(url), Keypair::new().pubkey());
    let transaction = sign(url, &[transfer(&alice, &bob, SOL)], &[&alice]);
    let signature = transaction.signatures[0].to_string();

    let mut client = Client::connect(&chain);
    let options = json!({ "encoding": "base64", "commitment": "confirmed" });
    let system = solana_system_interface::program::ID.to_string();
    let account = client.subscribe("accountSubscribe", json!([bob.to_string(), options]));
    let program = client.subscribe("programSubscribe", json!([system, options]));
    let all_logs = client.subscribe("logsSubscribe", json!(["all"]));
    let logs = client.subscribe("logsSubscribe", json!([{ "mentions": [bob.to_string()] }]));
    client.subscribe("logsSubscribe", json!([{ "mentions": [Keypair::new().pubkey().to_string()] }]));
    let waiting = client.subscribe("signatureSubscribe", json!([signature, { "commitment": "finalized" }]));
    send(url, &transaction).unwrap();

    let mut heard: Vec<Value> = (0..6).map(|_| client.next()).collect();
    let mut take = |number: u64| {
        let index =
            heard.iter().position(|n| n["params"]["subscription"] == number).unwrap_or_else(|| panic!("{heard:?}"));
        heard.remove(index)
    };
    let told = take(account);
    assert_eq!(told["method"], "accountNotification");
    assert_eq!(told["params"]["result"]["value"]["lamports"], SOL);
    for _ in 0..2 {
        assert!(take(program)["params"]["result"]["value"]["pubkey"].is_string());
    }
    assert_eq!(take(all_logs)["params"]["result"]["value"]["signature"], signature);
    assert_eq!(take(logs)["params"]["result"]["value"]["err"], json!(null));
    assert_eq!(take(waiting)["params"]["result"]["value"], json!({ "err": null }));

    // Who asks late is told at once, once.
    let late = client.subscribe("signatureSubscribe", json!([signature]));
    assert_eq!(client.next()["params"]["subscription"], late);
    client.send("signatureUnsubscribe", json!([late]));
    assert_eq!(client.next()["error"]["code"], -32602);

    for (method, number) in
        [("accountUnsubscribe", account), ("programUnsubscribe", program), ("logsUnsubscribe", logs)]
    {
        client.send(method, json!([number]));
        assert_eq!(client.next()["result"], true);
    }
    client.send("slotUnsubscribe", json!([all_logs]));
    assert_eq!(client.next()["error"]["code"], -32602);
}

#[test]
fn updates_of_slots_tell_how_each_is_frozen_confirmed_and_rooted() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let mut client = Client::connect(&chain);
    let updates = client.subscribe("slotsUpdatesSubscribe", json!([]));
    let told: Vec<Value> = (0..8).map(|_| client.next()).collect();
    for update in &told {
        assert_eq!(
            (&update["method"], &update["params"]["subscription"]),
            (&json!("slotsUpdatesNotification"), &json!(updates))
        );
        assert!(update["params"]["result"]["timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    }
    let of = |index: usize| &told[index]["params"]["result"];
    for (index, kind) in ["frozen", "optimisticConfirmation", "root", "createdBank"].into_iter().enumerate() {
        assert_eq!((&of(index)["type"], &of(index + 4)["type"]), (&json!(kind), &json!(kind)));
    }
    let slot = of(0)["slot"].as_u64().unwrap();
    assert_eq!((&of(3)["slot"], &of(3)["parent"], &of(4)["slot"]), (&json!(slot + 1), &json!(slot), &json!(slot + 1)));
    client.send("slotsUpdatesUnsubscribe", json!([updates]));
    while client.next()["result"] != true {}
}

#[test]
fn a_subscriber_hears_of_a_transaction_at_the_commitment_that_it_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.slot = Some(Duration::from_millis(500));
    let chain = Localnet::start(config).unwrap();
    let url = &chain.url();
    let alice = funded(url);
    let transaction = sign(url, &[transfer(&alice, &alice.pubkey(), 1)], &[&alice]);
    let signature = transaction.signatures[0].to_string();
    let mut client = Client::connect(&chain);
    let closed = client.subscribe("signatureSubscribe", json!([signature]));
    let executed = client.subscribe("signatureSubscribe", json!([signature, { "commitment": "processed" }]));
    send(url, &transaction).unwrap();
    let [first, second] = [client.next(), client.next()];
    assert_eq!(
        (&first["params"]["subscription"], &second["params"]["subscription"]),
        (&json!(executed), &json!(closed))
    );
    let slot = &second["params"]["result"]["context"]["slot"];
    assert!(
        get(url, "getBlock", json!([slot, { "transactionDetails": "signatures" }]))["signatures"]
            .as_array()
            .unwrap()
            .contains(&json!(signature))
    );
}

/// As Solana's JavaScript client does it: it sends, then subscribes, then looks, and waits.
#[test]
fn a_subscriber_that_comes_after_a_transaction_and_before_its_slot_closes_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.slot = Some(Duration::from_millis(500));
    let chain = Localnet::start(config).unwrap();
    let url = &chain.url();
    let alice = funded(url);
    for lamports in 1..4 {
        // Nobody subscribes to anything while it is executed.
        let transaction = sign(url, &[transfer(&alice, &alice.pubkey(), lamports)], &[&alice]);
        send(url, &transaction).unwrap();
        let mut client = Client::connect(&chain);
        let signature = transaction.signatures[0].to_string();
        let late = client.subscribe("signatureSubscribe", json!([signature, { "commitment": "confirmed" }]));
        assert_eq!(client.next()["params"]["subscription"], late);
    }
}

#[test]
fn slots_are_told_as_they_pass() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let mut client = Client::connect(&chain);
    let slots = client.subscribe("slotSubscribe", json!([]));
    let mut last = None;
    for _ in 0..5 {
        let told = client.next();
        assert_eq!(told["params"]["subscription"], slots);
        let slot = told["params"]["result"]["slot"].as_u64().unwrap();
        assert!(last.is_none_or(|last| slot == last + 1));
        last = Some(slot);
    }
    client.0.send(Message::Ping(b"are you there"[..].into())).unwrap();
    while !matches!(client.0.read().unwrap(), Message::Pong(_)) {}
    client.0.close(None).unwrap();
    while client.0.read().is_ok() {}
}

#[test]
fn wrong_messages_get_answers_and_wrong_frames_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let mut client = Client::connect(&chain);
    for (message, code) in
        [("", -32700), ("[", -32700), ("{}", -32600), (r#"{"jsonrpc":"2.0","method":"ping","id":1}"#, -32601)]
    {
        client.0.send(Message::text(message)).unwrap();
        assert_eq!(client.next()["error"]["code"], code, "{message}");
    }
    for (method, params) in [
        ("accountSubscribe", json!(["x"])),
        ("logsSubscribe", json!([5])),
        ("logsSubscribe", json!([{ "mentions": [] }])),
        ("programSubscribe", json!([PROGRAM.to_string(), { "filters": [{}] }])),
        ("slotUnsubscribe", json!([1])),
    ] {
        client.send(method, params);
        assert_eq!(client.next()["error"]["code"], -32602, "{method}");
    }
    client.0.send(Message::text("x".repeat(100_000))).unwrap();
    assert!(client.0.read().is_err());

    let mut garbage = Client::connect(&chain);
    garbage.0.get_mut().write_all(&[0xff; 64]).unwrap();
    assert!(garbage.0.read().is_err());
    let no_handshake = raw(&chain.websocket_url(), b"GET / HTTP/1.1\r\n\r\n");
    assert!(no_handshake.is_err() || !no_handshake.unwrap().contains("101"));
    Client::connect(&chain).subscribe("slotSubscribe", json!([]));
}

#[test]
fn subscriptions_have_a_limit_and_whoever_does_not_read_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { subscriptions_per_connection: 3, waiting_bytes: 8 << 20, ..Limits::default() };
    let chain = start_still(folder.path(), limits);
    let url = &chain.url();
    let mut client = Client::connect(&chain);
    let numbers: Vec<u64> = (0..3).map(|_| client.subscribe("slotSubscribe", json!([]))).collect();
    client.send("slotSubscribe", json!([]));
    assert_eq!(client.next()["error"]["code"], -32603);
    client.send("slotUnsubscribe", json!([numbers[0]]));
    assert_eq!(client.next()["result"], true);
    client.subscribe("slotSubscribe", json!([]));

    // The account with the program's code: each notification has all of it, more than any socket's buffers hold.
    let program = json!([PROGRAM.to_string(), { "encoding": "base58" }]);
    let program = &get(url, "getAccountInfo", program)["value"]["data"][0];
    let code = bs58::decode(program.as_str().unwrap()).into_vec().unwrap();
    let code = bs58::encode(&code[4..]).into_string();
    let mut deaf = Client::connect(&chain);
    deaf.subscribe("accountSubscribe", json!([code, { "encoding": "base64" }]));
    for _ in 0..60 {
        get(url, "requestAirdrop", json!([code, SOL]));
    }
    let mut told = 0;
    let reason = loop {
        match deaf.0.read().unwrap() {
            Message::Close(reason) => break reason.unwrap(),
            _ => told += 1,
        }
    };
    assert!(told < 60, "{told}");
    assert!(reason.reason.contains("more waits for this connection"), "{reason}");
    // The other subscriber did not notice.
    client.send("slotUnsubscribe", json!([numbers[1]]));
    assert_eq!(client.next()["result"], true);
}

#[test]
fn http_peers_that_send_nonsense_or_nothing_or_too_much_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { connections: 4, transfer_timeout: Duration::from_millis(300), ..Limits::default() };
    let chain = start_still(folder.path(), limits);
    let url = &chain.url();
    for (request, status) in [
        (&b"\x00\x01\x02\x03\r\n\r\n"[..], " 400 "),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", " 413 "),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", " 501 "),
        (b"PUT / HTTP/1.1\r\nconnection: close\r\n\r\n", " 405 "),
        (b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n", " 200 "),
        (b"OPTIONS / HTTP/1.1\r\nconnection: close\r\norigin: https://wallet.example\r\n\r\n", " 200 "),
    ] {
        let answer = raw(url, request).unwrap();
        assert!(answer.contains(status), "{answer}");
    }
    let preflight = raw(url, b"OPTIONS / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    assert!(preflight.contains("access-control-allow-origin: *") && !preflight.contains("private-network"));

    // A request that drips in is given up on, however steadily it drips.
    let start = Instant::now();
    let mut slow = TcpStream::connect(authority(url)).unwrap();
    let mut ended = false;
    for byte in b"POST / HTTP/1.1\r\ncontent-length: 5\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
    {
        if slow.write_all(&[*byte]).is_err() {
            ended = true;
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(ended && start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn whoever_comes_when_all_places_are_at_work_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { connections: 4, transfer_timeout: Duration::from_secs(3), ..Limits::default() };
    let chain = start_still(folder.path(), limits);
    let url = &chain.url();
    let mut guests = Vec::new();
    wait_until("all places are at work", || {
        // A guest whose first bytes have not been read yet rests, and gives way to a newcomer: another takes its place.
        let mut guest = TcpStream::connect(authority(url)).unwrap();
        let _ = guest.write_all(b"GET /hea");
        guests.push(guest);
        raw(url, b"GET /health HTTP/1.0\r\n\r\n").is_ok_and(|answer| answer.contains(" 503 "))
    });
    let answer = raw(url, format!("POST / HTTP/1.1\r\n{}", "x".repeat(100_000)).as_bytes()).unwrap();
    assert!(answer.contains(" 503 "), "{answer}");
    drop(guests);
    wait_until("there is a place", || {
        raw(url, b"GET /health HTTP/1.0\r\n\r\n").is_ok_and(|answer| answer.contains(" 200 "))
    });
}

#[test]
fn idle_sockets_keep_nobody_out_and_are_closed_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { first_request_timeout: Duration::from_secs(4), ..Limits::default() };
    let chain = start_still(folder.path(), limits);
    let (url, websocket) = (&chain.url(), &chain.websocket_url());
    let start = Instant::now();
    let idle: Vec<TcpStream> =
        (0..256).flat_map(|_| [url, websocket].map(|url| TcpStream::connect(authority(url)).unwrap())).collect();
    // Connections that have asked before and rest now hold no place against a newcomer either.
    let mut asked: Vec<TcpStream> = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(authority(url)).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        asked.push(stream);
    }
    assert_eq!(get(url, "getHealth", json!([])), "ok");
    Client::connect(&chain).subscribe("slotSubscribe", json!([]));
    assert!(start.elapsed() < Duration::from_secs(3), "nobody waited: {:?}", start.elapsed());
    for mut stream in idle {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn one_peer_has_no_more_places_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits { connections_per_peer: 2, ..Limits::default() });
    let mut clients: Vec<Client> = (0..2).map(|_| Client::connect(&chain)).collect();
    clients.iter_mut().for_each(|client| _ = client.subscribe("slotSubscribe", json!([])));
    // Both hear of something, so neither makes room for a third of this peer.
    let stream = TcpStream::connect(authority(&chain.websocket_url())).unwrap();
    assert!(tungstenite::client(chain.websocket_url(), stream).is_err());
    clients.pop();
    wait_until("there is a place", || {
        let stream = TcpStream::connect(authority(&chain.websocket_url())).unwrap();
        tungstenite::client(chain.websocket_url(), stream).is_ok()
    });
}

#[test]
fn requests_may_follow_each_other_on_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"getHealth"}"#;
    let request =
        format!("POST / HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let last = request.replace("content-length", "connection: close\r\ncontent-length");
    let expecting = request.replace("content-length", "expect: 100-continue\r\ncontent-length");
    let mut stream = TcpStream::connect(authority(&chain.url())).unwrap();
    stream.write_all(format!("{request}{request}").as_bytes()).unwrap();
    let (head, tail) = expecting.split_at(expecting.len() - body.len());
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    stream.write_all(tail.as_bytes()).unwrap();
    stream.write_all(last.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches(r#""result":"ok""#).count(), 4, "{answers}");
    assert_eq!(answers.matches("100 Continue").count(), 1);
}

#[test]
fn web_pages_from_elsewhere_are_answered_only_where_they_are_let_in() {
    let slot = json!({ "jsonrpc": "2.0", "id": 1, "method": "getSlot" }).to_string();
    let post = |origin: &str| {
        let head = format!(
            "POST / HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\norigin: {origin}\r\ncontent-length: {}",
            slot.len()
        );
        format!("{head}\r\n\r\n{slot}")
    };
    let handshake = "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\norigin: https://page.example\r\n\r\n";
    for (allow, status) in [(false, " 403 "), (true, " 200 ")] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.allow_web_pages = allow;
        let chain = sip_localnet::Localnet::start(config).unwrap();
        let url = &chain.url();
        let answer = raw(url, post("https://page.example").as_bytes()).unwrap();
        assert!(answer.contains(status), "{answer}");
        let answer = raw(url, post("http://localhost:3000").as_bytes()).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
        let preflight = raw(url, b"OPTIONS / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
        assert_eq!(preflight.contains("private-network"), allow);
        if !allow {
            let answer = raw(&chain.websocket_url(), handshake.as_bytes()).unwrap();
            assert!(answer.contains(" 403 "), "{answer}");
        }
    }
}
