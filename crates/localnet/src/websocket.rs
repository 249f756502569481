//! WebSocket: subscriptions and what they are told. Two threads per connection, one for each direction.

use crate::engine::{Place, Shared};
use crate::outbox::{Next, Outbox};
use crate::{http, rpc};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tungstenite::Message;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};

const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// What a subscriber is told for whom too much waits.
const TOO_SLOW: &str = "more waits for this connection than it may leave unread";

/// Accepts connections until the chain stops.
pub(crate) fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Some(stream) = http::accept(listener, shared) {
        let shared = shared.clone();
        // Where no thread can be started, the connection is closed.
        let _ = std::thread::Builder::new().name("websocket connection".into()).spawn(move || {
            if let Some(place) = shared.websocket.take(&stream) {
                // The peer's errors are the peer's.
                let _ = converse(&stream, &shared, &place);
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

/// A socket whose two directions belong to two threads. Frames are written whole, so they do not mix.
struct Socket {
    reader: TcpStream,
    writer: Arc<Mutex<TcpStream>>,
    /// Until when the handshake must be over.
    deadline: Option<Instant>,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.reader.set_read_timeout(Some(left))?;
        }
        match self.reader.read(buffer) {
            // The handshake would take it for "later", and there is no later.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
            other => other,
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(buffer)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn converse(stream: &TcpStream, shared: &Shared, place: &Place<'_>) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(shared.limits.transfer_timeout))?;
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let socket = Socket {
        reader: stream.try_clone()?,
        writer: writer.clone(),
        deadline: Some(Instant::now() + shared.limits.first_request_timeout),
    };
    let config =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    #[expect(clippy::result_large_err, reason = "the type that the crate asks for")]
    let check = |request: &Request, response: Response| match request.headers().get("origin") {
        Some(origin) if http::is_from_elsewhere(origin.as_bytes()) && !shared.allow_web_pages => {
            let mut refusal = ErrorResponse::new(Some(http::ELSEWHERE.to_owned()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            Err(refusal)
        }
        _ => Ok(response),
    };
    let mut websocket =
        tungstenite::accept_hdr_with_config(socket, check, Some(config)).map_err(|error| error.to_string())?;
    websocket.get_mut().deadline = None;
    stream.set_read_timeout(Some(shared.limits.first_request_timeout))?;

    let outbox = Arc::new(Outbox::new(shared.limits.waiting_bytes));
    let hung_up = |_| "the chain failed";
    let connection = shared.chain().map_err(hung_up)?.hub.connect(outbox.clone(), stream.try_clone()?);
    let delivery = {
        let (stream, timeout) = (stream.try_clone()?, shared.limits.transfer_timeout);
        std::thread::Builder::new().name("websocket delivery".into()).spawn(move || {
            // Whatever ends it, the reader sees the end and removes the connection.
            let _ = deliver(&outbox, &writer, timeout);
            let _ = stream.shutdown(Shutdown::Both);
        })
    };
    if delivery.is_ok() {
        while let Ok(message) = websocket.read() {
            stream.set_read_timeout(Some(shared.limits.idle_timeout))?;
            match message {
                Message::Text(text) => rpc::subscriptions::handle(shared, connection, text.as_bytes()),
                Message::Binary(bytes) => rpc::subscriptions::handle(shared, connection, &bytes),
                Message::Close(_) => {
                    let _ = websocket.flush();
                    break;
                }
                // Answered by the crate.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
            let is_subscribed = shared.chain().map_err(hung_up)?.hub.subscriptions(connection) > 0;
            if is_subscribed { place.work() } else { place.rest() }
        }
    }
    // Delivery ends too.
    shared.chain().map_err(hung_up)?.hub.disconnect(connection);
    Ok(())
}

/// Writes what is queued, until the connection is gone or takes a message no longer in the time that it has.
fn deliver(outbox: &Outbox, writer: &Mutex<TcpStream>, timeout: Duration) -> io::Result<()> {
    loop {
        let (frame, is_last) = match outbox.next() {
            Next::Write(message) => {
                (Frame::message(message.text().into_bytes(), OpCode::Data(Data::Text), true), false)
            }
            Next::Cut => {
                let reason = CloseFrame { code: CloseCode::Policy, reason: TOO_SLOW.into() };
                (Frame::close(Some(reason)), true)
            }
            Next::End => return Ok(()),
        };
        let mut bytes = Vec::with_capacity(frame.len());
        frame.format(&mut bytes).map_err(io::Error::other)?;
        let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        http::write_until(&writer, &bytes, Instant::now() + timeout)?;
        if is_last {
            return Ok(());
        }
    }
}
