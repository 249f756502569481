//! Heads of requests and answers.

/// Bytes of a head.
pub(super) const MAX_HEAD_BYTES: usize = 4 << 10;
const MAX_HEADERS: usize = 32;

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad(pub &'static str);

/// The part of a request's head that matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub is_post: bool,
    pub path: String,
    pub content_bytes: u64,
    pub keep_alive: bool,
}

/// The part of an answer's head that matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AnswerHead {
    pub status: u16,
    /// `None` where it does not say, or says it in another way.
    pub content_bytes: Option<u64>,
    pub keep_alive: bool,
    pub retry_seconds: Option<u32>,
    /// Whether it says that it is one of ours.
    pub is_ours: bool,
}

/// What headers say of content and connection.
struct Said {
    content_bytes: Option<u64>,
    is_encoded: bool,
    closes: bool,
    retry_seconds: Option<u32>,
    is_ours: bool,
}

fn said(headers: &[httparse::Header<'_>]) -> Result<Said, Bad> {
    let mut said = Said { content_bytes: None, is_encoded: false, closes: false, retry_seconds: None, is_ours: false };
    for header in headers {
        let value = header.value.trim_ascii();
        // Digits alone: a sign, which numbers may have elsewhere, is none here.
        let digits = || {
            let is_plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            std::str::from_utf8(value).ok().filter(|_| is_plain)
        };
        if header.name.eq_ignore_ascii_case("content-length") {
            let length =
                digits().and_then(|digits| digits.parse().ok()).ok_or(Bad("the content length is no number"))?;
            if said.content_bytes.replace(length).is_some() {
                return Err(Bad("there are two content lengths"));
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            said.is_encoded = true;
        } else if header.name.eq_ignore_ascii_case("connection") {
            said.closes |=
                value.split(|&byte| byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"));
        } else if header.name.eq_ignore_ascii_case("retry-after") {
            said.retry_seconds = digits().and_then(|digits| digits.parse().ok());
        } else if header.name.eq_ignore_ascii_case("sip-net") {
            said.is_ours = true;
        }
    }
    Ok(said)
}

/// The head of a request and its size; `None` where more of it must arrive.
pub(super) fn request(buffer: &[u8]) -> Result<Option<(RequestHead, usize)>, Bad> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(&buffer[..buffer.len().min(MAX_HEAD_BYTES)]) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) if buffer.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Bad("the head is too large"));
        }
        Err(_) => return Err(Bad("this is no HTTP request")),
    };
    let is_post = match request.method {
        Some("POST") => true,
        Some("GET") => false,
        _ => return Err(Bad("only GET and POST are answered")),
    };
    let said = said(request.headers)?;
    if said.is_encoded {
        return Err(Bad("send the request with a content length"));
    }
    let head = RequestHead {
        is_post,
        path: request.path.unwrap_or_default().into(),
        content_bytes: said.content_bytes.unwrap_or(0),
        keep_alive: request.version == Some(1) && !said.closes,
    };
    Ok(Some((head, head_bytes)))
}

/// The head of an answer and its size; `None` where more of it must arrive.
pub(super) fn answer(buffer: &[u8]) -> Result<Option<(AnswerHead, usize)>, Bad> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let head_bytes = match answer.parse(&buffer[..buffer.len().min(MAX_HEAD_BYTES)]) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) if buffer.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Bad("the head is too large"));
        }
        Err(_) => return Err(Bad("this is no HTTP answer")),
    };
    let said = said(answer.headers)?;
    let head = AnswerHead {
        status: answer.code.unwrap_or(0),
        content_bytes: said.content_bytes.filter(|_| !said.is_encoded),
        keep_alive: answer.version == Some(1) && !said.closes,
        retry_seconds: said.retry_seconds,
        is_ours: said.is_ours,
    };
    Ok(Some((head, head_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(text: &str) -> Result<Option<RequestHead>, Bad> {
        request(text.replace('\n', "\r\n").as_bytes()).map(|head| head.map(|(head, _)| head))
    }

    fn answered(text: &str) -> Result<Option<AnswerHead>, Bad> {
        answer(text.replace('\n', "\r\n").as_bytes()).map(|head| head.map(|(head, _)| head))
    }

    #[test]
    fn heads_are_read_only_where_they_say_one_thing() {
        let head = asked("POST /sip/1/have HTTP/1.1\nContent-Length: 64\n\n").unwrap().unwrap();
        assert!(head.is_post && head.keep_alive && head.content_bytes == 64 && head.path == "/sip/1/have");
        assert!(!asked("GET / HTTP/1.0\n\n").unwrap().unwrap().keep_alive);
        assert_eq!(asked("GET / HTTP/1.1\nHo"), Ok(None));
        for text in [
            "PUT / HTTP/1.1\n\n",
            "GET / HTTP/1.1\nTransfer-Encoding: chunked\n\n",
            "GET / HTTP/1.1\nContent-Length: 3\nContent-Length: 3\n\n",
            "GET / HTTP/1.1\nContent-Length: +3\n\n",
            "GET / HTTP/1.1\nContent-Length: 99999999999999999999999\n\n",
            "\u{1}\u{2} what\n\n",
        ] {
            assert!(asked(text).is_err(), "{text}");
        }
        assert!(asked(&format!("GET / HTTP/1.1\n{}\n", "a: b\n".repeat(MAX_HEADERS + 1))).is_err());
        assert!(asked(&format!("GET /{} HTTP/1.1\n", "x".repeat(MAX_HEAD_BYTES))).is_err());
        let head = answered("HTTP/1.1 200 OK\nContent-Length: 5\nSIP-Net: 1\n\n").unwrap().unwrap();
        assert!(head.content_bytes == Some(5) && head.is_ours && head.keep_alive);
        let head = answered(
            "HTTP/1.1 503 No\nRetry-After: 7\nConnection: x, close\nTransfer-Encoding: chunked\nContent-Length: 1\n\n",
        );
        let head = head.unwrap().unwrap();
        assert_eq!((head.content_bytes, head.retry_seconds, head.keep_alive), (None, Some(7), false));
        assert!(answered("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reading(bytes: Vec<u8>) {
            let _ = (request(&bytes), answer(&bytes));
        }
    }
}
