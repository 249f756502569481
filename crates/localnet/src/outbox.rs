//! What waits for a subscriber: a queue that is bounded in bytes, between the chain and the thread that writes to the socket.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a message takes beside its text.
const MESSAGE_BYTES: usize = 128;

/// What a subscriber is told.
pub(crate) enum Message {
    /// To a request of its own.
    Answer(String),
    /// Of a subscription. What happened is encoded once, for all who hear of it.
    Notification { method: &'static str, result: Arc<str>, subscription: u64 },
}

impl Message {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Answer(text) => text.clone(),
            Self::Notification { method, result, subscription } => format!(
                r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"result":{result},"subscription":{subscription}}}}}"#
            ),
        }
    }
}

/// The next thing that the writing thread has to do.
pub(crate) enum Next {
    Write(Message),
    /// Too much waited: say so, and hang up.
    Cut,
    /// The connection is gone.
    End,
}

/// A connection's queue.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    changed: Condvar,
    limit_bytes: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<(Message, usize)>,
    /// Of all messages together.
    waiting_bytes: usize,
    is_cut: bool,
    is_closed: bool,
}

impl Queue {
    /// The message that waited longest. A text that the next one holds too goes on to be counted there.
    fn take(&mut self) -> Option<Message> {
        let (message, mut bytes) = self.messages.pop_front()?;
        if let (Message::Notification { result, .. }, Some((Message::Notification { result: next, .. }, next_bytes))) =
            (&message, self.messages.front_mut())
            && Arc::ptr_eq(result, next)
        {
            *next_bytes += bytes - MESSAGE_BYTES;
            bytes = MESSAGE_BYTES;
        }
        self.waiting_bytes -= bytes;
        Some(message)
    }
}

impl Outbox {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { queue: Mutex::default(), changed: Condvar::new(), limit_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything that is sent may still arrive.
    pub(crate) fn is_open(&self) -> bool {
        let queue = self.lock();
        !queue.is_cut && !queue.is_closed
    }

    /// Queues a message. Where more waits than may, all of it is dropped and the connection is cut.
    pub(crate) fn send(&self, message: Message) {
        let mut queue = self.lock();
        if queue.is_cut || queue.is_closed {
            return;
        }
        let bytes = MESSAGE_BYTES
            + match (&message, queue.messages.back()) {
                (Message::Answer(text), _) => text.len(),
                // The memory that both hold is one.
                (Message::Notification { result, .. }, Some((Message::Notification { result: last, .. }, _)))
                    if Arc::ptr_eq(result, last) =>
                {
                    0
                }
                (Message::Notification { result, .. }, _) => result.len(),
            };
        queue.waiting_bytes += bytes;
        queue.messages.push_back((message, bytes));
        if queue.waiting_bytes > self.limit_bytes {
            *queue = Queue { is_cut: true, ..Queue::default() };
        }
        self.changed.notify_one();
    }

    /// Ends the writing thread.
    pub(crate) fn close(&self) {
        *self.lock() = Queue { is_closed: true, ..Queue::default() };
        self.changed.notify_one();
    }

    /// Waits for something to do.
    pub(crate) fn next(&self) -> Next {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return Next::End;
            }
            if queue.is_cut {
                return Next::Cut;
            }
            if let Some(message) = queue.take() {
                return Next::Write(message);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(result: &Arc<str>, subscription: u64) -> Message {
        Message::Notification { method: "accountNotification", result: result.clone(), subscription }
    }

    #[test]
    fn one_text_counts_once_however_many_subscriptions_hear_it() {
        let outbox = Outbox::new(1 << 20);
        let text: Arc<str> = "9".repeat(600_000).into();
        (0..1_000).for_each(|number| outbox.send(notification(&text, number)));
        assert!(outbox.is_open());
        let Next::Write(message) = outbox.next() else { panic!("nothing waits") };
        let value: serde_json::Value = serde_json::from_str(&notification(&"7".into(), 3).text()).unwrap();
        assert_eq!((&value["params"]["result"], &value["params"]["subscription"]), (&7.into(), &3.into()));
        drop(message);
        // Another text of this size is more than may wait.
        outbox.send(notification(&"9".repeat(600_000).into(), 0));
        assert!(!outbox.is_open() && matches!(outbox.next(), Next::Cut));
        assert_eq!(Arc::strong_count(&text), 1, "what waited is gone");
    }
}
