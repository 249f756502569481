//! One JSON-RPC endpoint: a question, an answer, and patience with a network that fails now and then.

use serde_json::{Value, json};
use sip_json::{MemberError, members};
use sip_ledger::RemoteError;
use std::io::Read;
use std::time::Duration;

/// How often a question is asked before the endpoint counts as lost.
const ATTEMPTS: u32 = 5;
/// The pause after the first failed attempt; it doubles with every other.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in MiB: an account has at most 10, which are 14 as text.
const MAX_ANSWER_MIB: usize = 32;
/// The same of all accounts of a program, which are read one by one.
const MAX_ACCOUNTS_MIB: usize = 256;
/// Letters of an answer that an error shows.
const SHOWN_CHARS: usize = 200;

/// "Node is behind" and "minimum context slot has not been reached": true a moment later.
const NOT_YET: [i64; 2] = [-32005, -32016];

/// An error object of JSON-RPC.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: String,
    /// What the endpoint adds, such as the logs of a failed simulation.
    pub(crate) data: Value,
}

/// Chains that have a name, with its first letter as `solana -u` takes it.
const NAMED: [(&str, &str); 5] = [
    ("localhost", "http://127.0.0.1:8899"),
    ("devnet", "https://api.devnet.solana.com"),
    ("testnet", "https://api.testnet.solana.com"),
    ("mainnet", "https://api.mainnet-beta.solana.com"),
    ("mainnet-beta", "https://api.mainnet-beta.solana.com"),
];

/// The address of a chain by its name or its first letter: "localhost", "devnet", "testnet", "mainnet"; any other text is an address itself.
pub fn endpoint_url(text: &str) -> &str {
    let known = |name: &str| name == text || (text.len() == 1 && name.starts_with(text));
    NAMED.iter().find(|(name, _)| known(name)).map_or(text, |(_, url)| url)
}

/// What of an address may be told to everybody: who answers there. A user, a path and a query often hold a key.
pub fn public_url(url: &str) -> String {
    let Ok(uri) = endpoint_url(url).parse::<ureq::http::Uri>() else { return String::new() };
    let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default())
}

/// Where a chain answers.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    agent: ureq::Agent,
}

impl Endpoint {
    pub(crate) fn new(url: &str) -> Result<Self, RemoteError> {
        let parsed: Result<ureq::http::Uri, _> = url.parse();
        let known = |uri: &ureq::http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !parsed.is_ok_and(|uri| known(&uri)) {
            return Err(RemoteError::Url { url: url.into() });
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ATTEMPT_TIMEOUT))
            .http_status_as_error(false)
            .build()
            .into();
        Ok(Self { url: url.into(), agent })
    }

    /// The result of a method, or the endpoint's refusal as an error.
    pub(crate) fn ask(&self, method: &'static str, params: Value) -> Result<Value, RemoteError> {
        self.call(method, params)?.map_err(|refusal| self.refused(method, refusal))
    }

    /// The result of a method, or the endpoint's refusal to look into. A question may reach the endpoint more than
    /// once, so only those may be asked that change nothing the second time.
    pub(crate) fn call(&self, method: &'static str, params: Value) -> Result<Result<Value, Refusal>, RemoteError> {
        self.read(method, params, &|result| {
            sip_json::from_slice(result).map_err(|error| self.unexpected(method, error))
        })
    }

    /// As [`Endpoint::call`], with what `read` makes of the text of the result: so that nothing long is built as a whole.
    pub(crate) fn read<T>(
        &self,
        method: &'static str,
        params: Value,
        read: &dyn Fn(&[u8]) -> Result<T, RemoteError>,
    ) -> Result<Result<T, Refusal>, RemoteError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let limit_mib = if method == "getProgramAccounts" { MAX_ACCOUNTS_MIB } else { MAX_ANSWER_MIB };
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let reason = match self.attempt(&body, limit_mib << 20) {
                Ok((_, text)) if text.len() > limit_mib << 20 => {
                    let reason = format!("an answer of more than {limit_mib} MiB, as many as are read of this method");
                    return Err(self.unexpected(method, reason));
                }
                Ok((200, text)) => match self.answer(method, &text, read)? {
                    Err(refusal) if NOT_YET.contains(&refusal.code) && attempt < ATTEMPTS => refusal.message,
                    answer => return Ok(answer),
                },
                Ok((status, text)) => {
                    let start = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN_CHARS)]);
                    let start: String = start.chars().take(SHOWN_CHARS).collect();
                    let reason = format!("HTTP status {status}: {start}");
                    // Too many requests, and whatever the server blames itself for, may pass.
                    if status != 429 && status < 500 {
                        return Err(RemoteError::Answer { url: self.url.clone(), method, reason });
                    }
                    reason
                }
                Err(error) => error.to_string(),
            };
            if attempt == ATTEMPTS {
                return Err(RemoteError::Unreachable { url: self.url.clone(), attempts: attempt, reason });
            }
            std::thread::sleep(pause);
            pause *= 2;
            attempt += 1;
        }
    }

    /// Asks once; of the answer at most one byte more than the limit is read.
    fn attempt(&self, body: &str, limit_bytes: usize) -> Result<(u16, Vec<u8>), ureq::Error> {
        let mut response = self.agent.post(&self.url).header("content-type", "application/json").send(body)?;
        let mut text = Vec::new();
        response.body_mut().as_reader().take(limit_bytes as u64 + 1).read_to_end(&mut text)?;
        text.shrink_to_fit();
        Ok((response.status().as_u16(), text))
    }

    fn answer<T>(
        &self,
        method: &'static str,
        text: &[u8],
        read: &dyn Fn(&[u8]) -> Result<T, RemoteError>,
    ) -> Result<Result<T, Refusal>, RemoteError> {
        let (mut result, mut error) = (None, None);
        let parts = members::<MemberError>(text, |key, value| {
            match &*key {
                "result" => result = Some(value),
                "error" => error = Some(value).filter(|error| error != b"null"),
                _ => return Ok(false),
            }
            Ok(true)
        });
        parts.map_err(|error| self.unexpected(method, error))?;
        if let Some(error) = error {
            let error: Value = sip_json::from_slice(error).map_err(|error| self.unexpected(method, error))?;
            let code = error["code"].as_i64().ok_or_else(|| self.unexpected(method, "an error without a code"))?;
            let message = error["message"].as_str().unwrap_or("no reason given").into();
            return Ok(Err(Refusal { code, message, data: error["data"].clone() }));
        }
        let result = result.ok_or_else(|| self.unexpected(method, "neither a result nor an error"))?;
        read(result).map(Ok)
    }

    pub(crate) fn refused(&self, method: &'static str, refusal: Refusal) -> RemoteError {
        let Refusal { code, message, .. } = refusal;
        RemoteError::Refused { url: self.url.clone(), method, code, message }
    }

    pub(crate) fn unexpected(&self, method: &'static str, reason: impl ToString) -> RemoteError {
        RemoteError::Answer { url: self.url.clone(), method, reason: reason.to_string() }
    }
}
