//! What templates use of Python and Jinja beyond what the engine has: the methods of texts and lists, `%` behind a text, filters, and
//! values and JSON as Python writes them. All of it is charged like the engine's own work.

use minijinja::value::{Kwargs, Rest, Tuple, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde_json::Value as Json;

/// Bytes that a unit of fuel pays.
const BYTES_PER_FUEL: usize = 64;
/// Widths in a text that is formatted have at most so many digits.
const WIDTH_DIGITS_MAX: usize = 4;
/// What `text % values` is called.
const PERCENT: &str = "python_percent";

/// Adds it all to an environment.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", to_json);
    environment.add_filter(PERCENT, percent);
    environment.add_filter("attr", attribute);
    environment.add_filter("truncate", truncate);
    environment.add_filter("urlencode", url_encode);
    environment.add_filter("wordcount", |text: &str| {
        text.split(|char: char| !is_word(char)).filter(|word| !word.is_empty()).count()
    });
    environment.add_filter("center", |state: &State, text: &str, width: Option<usize>| {
        padded(state, text, width.unwrap_or(80), ' ', Side::Both)
    });
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

fn charge(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel((bytes / BYTES_PER_FUEL) as u64)
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// What a method or filter is given, by place or by name.
struct Given<'a> {
    places: &'a [Value],
    names: Kwargs,
}

impl<'a> Given<'a> {
    fn new(given: &'a [Value]) -> Result<Given<'a>, Error> {
        let (places, names) = from_args(given)?;
        Ok(Given { places, names })
    }

    /// The value at a place or of a name, if it is there and not none.
    fn get(&self, place: usize, name: &str) -> Result<Option<Value>, Error> {
        let named: Option<Value> = self.names.get(name)?;
        Ok(self.places.get(place).cloned().or(named).filter(|value| !value.is_none()))
    }

    fn text(&self, place: usize, name: &str) -> Result<Option<String>, Error> {
        let value = self.get(place, name)?;
        value
            .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(format!("{name} is no text"))))
            .transpose()
    }

    fn number(&self, place: usize, name: &str) -> Result<Option<i64>, Error> {
        self.get(place, name)?.map(i64::try_from).transpose()
    }

    fn flag(&self, place: usize, name: &str) -> Result<bool, Error> {
        Ok(self.get(place, name)?.is_some_and(|value| value.is_true()))
    }

    /// Refuses what was given and not asked for.
    fn end(&self, places: usize) -> Result<(), Error> {
        if self.places.len() > places {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        self.names.assert_all_used()
    }
}

/// A method that a value does not have by itself.
fn method(state: &mut State, value: &Value, name: &str, given: &[Value]) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return text_method(state, text, name, given)
            .unwrap_or_else(|| unknown_method_callback(state, value, name, given));
    }
    match (value.kind(), name) {
        (ValueKind::Seq, "index") => {
            let given = Given::new(given)?;
            let wanted = given.get(0, "value")?.unwrap_or_default();
            given.end(1)?;
            let mut items = value.try_iter()?;
            items.position(|item| item == wanted).map(Value::from).ok_or_else(|| wrong("the value is not in the list"))
        }
        (ValueKind::Seq | ValueKind::Map, "copy") => {
            Given::new(given)?.end(0)?;
            Ok(value.clone())
        }
        _ => unknown_method_callback(state, value, name, given),
    }
}

/// Those methods of texts that the engine does not have, or has otherwise than Python.
fn text_method(state: &State, text: &str, name: &str, given: &[Value]) -> Option<Result<Value, Error>> {
    let run = || -> Result<Option<Value>, Error> {
        let given = Given::new(given)?;
        let needed = |name: &str| given.text(0, name)?.ok_or_else(|| Error::from(ErrorKind::MissingArgument));
        let none = |value: Value| given.end(0).map(|()| Some(value));
        let list = |parts: Vec<&str>| Value::from(parts.into_iter().map(Value::from).collect::<Vec<_>>());
        let side = match name {
            "ljust" => Side::Right,
            "rjust" => Side::Left,
            _ => Side::Both,
        };
        match name {
            "split" | "rsplit" => {
                let separator = given.text(0, "sep")?;
                let most = given.number(1, "maxsplit")?.and_then(|most| usize::try_from(most).ok());
                given.end(2)?;
                Ok(Some(list(split(text, separator.as_deref(), most, name == "rsplit")?)))
            }
            "partition" | "rpartition" => {
                let separator = needed("sep")?;
                given.end(1)?;
                if separator.is_empty() {
                    return Err(wrong("empty separator"));
                }
                let found =
                    if name == "partition" { text.split_once(&*separator) } else { text.rsplit_once(&*separator) };
                let parts = match (found, name) {
                    (Some((before, behind)), _) => [before, &separator, behind],
                    (None, "partition") => [text, "", ""],
                    (None, _) => ["", "", text],
                };
                Ok(Some(Tuple::from(parts.map(Value::from).to_vec()).into()))
            }
            "removeprefix" | "removesuffix" => {
                let part = needed("prefix")?;
                given.end(1)?;
                let rest = if name == "removeprefix" { text.strip_prefix(&*part) } else { text.strip_suffix(&*part) };
                Ok(Some(rest.unwrap_or(text).into()))
            }
            "zfill" => {
                let width = given.number(0, "width")?.unwrap_or(0).max(0) as usize;
                given.end(1)?;
                let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
                let digits = padded(state, digits, width.saturating_sub(sign.len()), '0', Side::Left)?;
                Ok(Some(format!("{sign}{digits}").into()))
            }
            "ljust" | "rjust" | "center" => {
                let width = given.number(0, "width")?.unwrap_or(0).max(0) as usize;
                let fill = given.text(1, "fillchar")?.unwrap_or_else(|| " ".to_owned());
                given.end(2)?;
                let mut chars = fill.chars();
                let (Some(fill), None) = (chars.next(), chars.next()) else {
                    return Err(wrong("fillchar is no character"));
                };
                Ok(Some(padded(state, text, width, fill, side)?.into()))
            }
            "find" | "rfind" | "index" | "rindex" | "count" => {
                let wanted = needed("sub")?;
                let (part, start) = slice(text, given.number(1, "start")?, given.number(2, "end")?);
                given.end(3)?;
                if name == "count" {
                    return Ok(Some(part.matches(&*wanted).count().into()));
                }
                let found = if name.starts_with('r') { part.rfind(&*wanted) } else { part.find(&*wanted) };
                match found {
                    Some(at) => Ok(Some((start + part[..at].chars().count()).into())),
                    None if name.ends_with("find") => Ok(Some((-1).into())),
                    None => Err(wrong("the part is not in the text")),
                }
            }
            "startswith" | "endswith" if given.places.len() > 1 => {
                let (part, _) = slice(text, given.number(1, "start")?, given.number(2, "end")?);
                let wanted = needed("prefix")?;
                given.end(3)?;
                Ok(Some(
                    if name == "startswith" { part.starts_with(&*wanted) } else { part.ends_with(&*wanted) }.into(),
                ))
            }
            "splitlines" => {
                let keeps = given.flag(0, "keepends")?;
                given.end(1)?;
                Ok(Some(list(lines(text, keeps))))
            }
            "title" => none(title(text).into()),
            "swapcase" => none(text.chars().flat_map(swapped).collect::<String>().into()),
            "casefold" if text.is_ascii() => none(text.to_ascii_lowercase().into()),
            "isdecimal" | "isdigit" | "isnumeric" if text.is_ascii() => {
                none((!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).into())
            }
            "istitle" if text.is_ascii() => none((title(text) == text && text.contains(char::is_alphabetic)).into()),
            "isidentifier" if text.is_ascii() => none(
                (!text.is_empty()
                    && text.chars().all(is_word)
                    && !text.starts_with(|char: char| char.is_ascii_digit()))
                .into(),
            ),
            "expandtabs" => {
                let width = given.number(0, "tabsize")?.unwrap_or(8);
                given.end(1)?;
                Ok(Some(expanded(state, text, width.clamp(0, 64) as usize)?.into()))
            }
            "format" => is_narrow(text).map(|()| None),
            _ => Ok(None),
        }
    };
    run().transpose()
}

/// The letters of a text that are its large ones small and its small ones large.
fn swapped(char: char) -> Vec<char> {
    if char.is_uppercase() { char.to_lowercase().collect() } else { char.to_uppercase().collect() }
}

/// As Python: a letter behind anything else than a letter is large, all others are small.
fn title(text: &str) -> String {
    let mut is_inner = false;
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if is_inner {
            out.extend(char.to_lowercase())
        } else {
            out.extend(char.to_uppercase())
        }
        is_inner = char.is_alphabetic();
    }
    out
}

fn expanded(state: &State, text: &str, width: usize) -> Result<String, Error> {
    charge(state, text.matches('\t').count() * width)?;
    let (mut out, mut column) = (String::new(), 0);
    for char in text.chars() {
        if char == '\t' {
            let spaces = if width == 0 { 0 } else { width - column % width };
            out.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else {
            out.push(char);
            column = if matches!(char, '\n' | '\r') { 0 } else { column + 1 };
        }
    }
    Ok(out)
}

/// A part of a text by the places of its characters, which count from the end where they are negative; and where it begins.
fn slice(text: &str, start: Option<i64>, end: Option<i64>) -> (&str, usize) {
    if start.is_none() && end.is_none() {
        return (text, 0);
    }
    let length = text.chars().count();
    let place = |place: Option<i64>, default: usize| match place {
        None => default,
        Some(place @ 0..) => usize::try_from(place).unwrap_or(length).min(length),
        Some(place) => length.saturating_sub(place.unsigned_abs() as usize),
    };
    let (start, end) = (place(start, 0), place(end, length));
    let byte = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    (&text[byte(start)..byte(end.max(start))], start)
}

fn split<'a>(
    text: &'a str,
    separator: Option<&str>,
    most: Option<usize>,
    from_end: bool,
) -> Result<Vec<&'a str>, Error> {
    let most = most.unwrap_or(usize::MAX - 1);
    let Some(separator) = separator else {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let cut = match from_end {
                _ if parts.len() == most => None,
                true => rest.rfind(char::is_whitespace).map(|at| (rest[..at].trim_end(), rest[at..].trim_start())),
                false => rest.find(char::is_whitespace).map(|at| (&rest[..at], rest[at..].trim_start())),
            };
            match (cut, from_end) {
                (None, _) => {
                    parts.push(std::mem::take(&mut rest));
                }
                (Some((before, behind)), true) => {
                    parts.push(behind);
                    rest = before;
                }
                (Some((before, behind)), false) => {
                    parts.push(before);
                    rest = behind;
                }
            }
        }
        if from_end {
            parts.reverse();
        }
        // Python leaves the spaces at the far end of what was not split.
        if most == 0 && !parts.is_empty() {
            return Ok(vec![if from_end { text.trim_end() } else { text.trim_start() }]);
        }
        if let (true, Some(last)) =
            (parts.len() == most + 1, if from_end { parts.first_mut() } else { parts.last_mut() })
        {
            let at = last.as_ptr() as usize - text.as_ptr() as usize;
            *last = if from_end { &text[..at + last.len()] } else { &text[at..] };
        }
        return Ok(parts);
    };
    if separator.is_empty() {
        return Err(wrong("empty separator"));
    }
    let mut parts: Vec<&str> =
        if from_end { text.rsplitn(most + 1, separator).collect() } else { text.splitn(most + 1, separator).collect() };
    if from_end {
        parts.reverse();
    }
    Ok(parts)
}

/// The lines of a text, which end where Python ends them.
fn lines(text: &str, keeps: bool) -> Vec<&str> {
    let is_end = |char: char| {
        matches!(char, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(is_end) {
        let length =
            if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        lines.push(&rest[..if keeps { at + length } else { at }]);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Where what fills a text up stands.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Both,
}

fn padded(state: &State, text: &str, width: usize, fill: char, side: Side) -> Result<String, Error> {
    let missing = width.saturating_sub(text.chars().count());
    charge(state, missing.saturating_mul(fill.len_utf8()))?;
    let left = match side {
        Side::Left => missing,
        Side::Right => 0,
        Side::Both => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    Ok(fill(left) + text + &fill(missing - left))
}

/// Refuses a text whose fields are wider than any template's.
fn is_narrow(format: &str) -> Result<(), Error> {
    let mut runs = format.split(|char: char| !char.is_ascii_digit());
    let is_wide = format.contains('{') && runs.any(|digits| digits.len() > WIDTH_DIGITS_MAX);
    let is_nested = format.split('{').skip(1).any(|field| field.contains(':') && !field.contains('}'));
    if is_wide || is_nested { Err(wrong("a field of the format is too wide, or its width is a value")) } else { Ok(()) }
}

/// `text % values`.
fn percent(state: &mut State, format: &Value, values: &Value) -> Result<Value, Error> {
    let given: Vec<Value> = match values.downcast_object_ref::<Tuple>() {
        Some(tuple) => tuple.iter().cloned().collect(),
        None => vec![values.clone()],
    };
    let filter = Value::from_function(minijinja::filters::format);
    let all: Vec<Value> = std::iter::once(format.clone()).chain(given).collect();
    filter.call(state, &all)
}

/// `item|attr(name)`: an attribute and no key.
fn attribute(value: &Value, name: &Value) -> Result<Value, Error> {
    let is_plain_map =
        value.kind() == ValueKind::Map && value.as_object().is_none_or(|object| object.type_name().contains("Map"));
    if is_plain_map || matches!(value.kind(), ValueKind::Seq | ValueKind::String) {
        return Ok(Value::UNDEFINED);
    }
    value.get_item(name)
}

fn truncate(text: &str, given: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let given = given.into_values();
    let given = Given::new(&given)?;
    let length = given.number(0, "length")?.unwrap_or(255).max(0) as usize;
    let kills_words = given.flag(1, "killwords")?;
    let end = given.text(2, "end")?.unwrap_or_else(|| "...".to_owned());
    let leeway = given.number(3, "leeway")?.unwrap_or(5).max(0) as usize;
    given.end(4)?;
    let end_length = end.chars().count();
    if length < end_length {
        return Err(wrong("truncate: the length is smaller than that of the end"));
    }
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text.to_owned());
    }
    let kept: String = text.chars().take(length - end_length).collect();
    let kept = if kills_words { &kept } else { kept.rsplit_once(' ').map_or(&*kept, |(before, _)| before) };
    Ok(format!("{kept}{end}"))
}

/// A text as part of an address; of pairs a query.
fn url_encode(value: &Value) -> Result<String, Error> {
    let quoted = |text: &str, fine: &[u8]| {
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || fine.contains(&byte) {
                out.push(char::from(byte));
            } else {
                out += &format!("%{byte:02X}");
            }
        }
        out
    };
    let pair = |key: &Value, value: &Value| {
        let part = |value: &Value| quoted(&written(value), b"").replace("%20", "+");
        format!("{}={}", part(key), part(value))
    };
    match value.kind() {
        ValueKind::Map => {
            let pairs = value.try_iter()?.map(|key| Ok(pair(&key, &value.get_item(&key)?)));
            Ok(pairs.collect::<Result<Vec<_>, Error>>()?.join("&"))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let pairs =
                value.try_iter()?.map(|item| Ok(pair(&item.get_item_by_index(0)?, &item.get_item_by_index(1)?)));
            Ok(pairs.collect::<Result<Vec<_>, Error>>()?.join("&"))
        }
        _ => Ok(quoted(&written(value), b"/")),
    }
}

/// A value as Python's `str` writes it.
pub(super) fn written(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::Undefined => String::new(),
        ValueKind::Number if !value.is_integer() => {
            f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
        }
        _ => value.to_string(),
    }
}

/// A number as Python writes it: the shortest digits that give it back, with an exponent from 1e16 on and below 1e-4.
fn float(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "nan"
        } else if number > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// How `json.dumps` writes.
struct Dump {
    ascii: bool,
    sorted: bool,
    /// What a line begins with for every level; none where all is on one line.
    indent: Option<String>,
    comma: String,
    colon: String,
}

/// A value in JSON as Python's `json.dumps` writes it, with the options that `transformers` gives templates.
fn to_json(state: &State, value: &Value, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let given = given.into_values();
    let given = Given::new(&given)?;
    let ascii = given.flag(0, "ensure_ascii")?;
    let indent = given.get(1, "indent")?.map(|indent| match indent.as_str() {
        Some(text) if text.len() <= 16 => Ok(text.to_owned()),
        Some(_) => Err(wrong("the indent is too long")),
        None => Ok(" ".repeat(i64::try_from(indent)?.clamp(0, 16) as usize)),
    });
    let indent = indent.transpose()?;
    let mut marks = [if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()];
    if let Some(given) = given.get(2, "separators")? {
        let found: Vec<String> =
            given.try_iter()?.take(3).filter_map(|mark| mark.as_str().map(str::to_owned)).collect();
        marks = found.try_into().map_err(|_| wrong("separators are no two texts"))?;
    }
    let sorted = given.flag(3, "sort_keys")?;
    given.end(4)?;
    let [comma, colon] = marks;
    let mut text = String::new();
    Dump { ascii, sorted, indent, comma, colon }.write(state, value, 0, &mut text)?;
    Ok(Value::from_safe_string(text))
}

impl Dump {
    fn write(&self, state: &State, value: &Value, depth: usize, text: &mut String) -> Result<(), Error> {
        let before = text.len();
        let line = |text: &mut String, depth: usize| {
            if let Some(indent) = &self.indent {
                text.push('\n');
                text.extend(std::iter::repeat_n(indent.as_str(), depth));
            }
        };
        let is_map = value.kind() == ValueKind::Map;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
                text.push(if is_map { '{' } else { '[' });
                let mut items: Vec<Value> = value.try_iter()?.collect();
                if is_map && self.sorted {
                    items.sort_by_key(Value::to_string);
                }
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        text.push_str(&self.comma);
                    }
                    line(text, depth + 1);
                    charge(
                        state,
                        self.indent.as_ref().map_or(0, String::len) * depth + self.comma.len() + self.colon.len(),
                    )?;
                    if is_map {
                        self.quote(&key(item), text);
                        text.push_str(&self.colon);
                        self.write(state, &value.get_item(item)?, depth + 1, text)?;
                    } else {
                        self.write(state, item, depth + 1, text)?;
                    }
                }
                if !items.is_empty() {
                    line(text, depth);
                }
                text.push(if is_map { '}' } else { ']' });
            }
            ValueKind::Undefined => return Err(wrong("tojson of a value that is not defined")),
            ValueKind::Number => text.push_str(&number(value)),
            ValueKind::None | ValueKind::Bool => text.push_str(&key(value)),
            _ => {
                self.quote(&value.to_string(), text);
                charge(state, text.len() - before)?;
            }
        }
        Ok(())
    }

    fn quote(&self, said: &str, text: &mut String) {
        let quoted = Json::from(said).to_string();
        if !self.ascii {
            text.push_str(&quoted);
            return;
        }
        for char in quoted.chars() {
            if char.is_ascii() && char != '\u{7f}' {
                text.push(char);
            } else {
                char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| *text += &format!("\\u{unit:04x}"));
            }
        }
    }
}

/// A number in JSON.
fn number(value: &Value) -> String {
    match &*written(value) {
        "nan" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        written => written.to_owned(),
    }
}

/// What a key is called in JSON.
fn key(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
        ValueKind::Number => number(value),
        _ => value.to_string(),
    }
}

/// The source of a template with `'text' % values`, which the engine does not have, as a filter of the text.
pub(super) fn with_percent(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if rest.starts_with("{#") {
            let end = rest.find("#}").map_or(rest.len(), |end| end + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let end = if rest.starts_with("{{") { "}}" } else { "%}" };
        let length = code_length(&rest[2..], end);
        let code = &rest[2..2 + length];
        out.push_str(&rest[..2]);
        replace_percent(code, &mut out);
        rest = &rest[2 + length..];
        if code.trim_matches(['-', '+', ' ', '\t', '\n', '\r']) == "raw" {
            let end = rest.find("endraw").unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out + rest
}

/// How long code is before `end`, which may stand within its texts and, of braces, within braces.
fn code_length(code: &str, end: &str) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while at < code.len() {
        let rest = &code[at..];
        match rest.as_bytes()[0] {
            b'\'' | b'"' => at += quoted_length(rest),
            _ if depth == 0 && rest.starts_with(end) => return at,
            b'{' => (at, depth) = (at + 1, depth + 1),
            b'}' => (at, depth) = (at + 1, depth.saturating_sub(1)),
            _ => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    code.len()
}

/// The length of the text in quotes that code begins with.
fn quoted_length(code: &str) -> usize {
    let quote = code.as_bytes()[0];
    let mut is_escaped = false;
    for (at, byte) in code.bytes().enumerate().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if byte == quote {
            return at + 1;
        } else {
            is_escaped = byte == b'\\';
        }
    }
    code.len()
}

fn replace_percent(code: &str, out: &mut String) {
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        let first = rest.chars().next().unwrap_or(' ');
        if !matches!(first, '\'' | '"') {
            out.push(first);
            at += first.len_utf8();
            continue;
        }
        let text = &rest[..quoted_length(rest)];
        at += text.len();
        let behind = code[at..].trim_start();
        let values = behind.strip_prefix('%').map(|values| &values[..operand_length(values)]);
        match values.filter(|values| !values.trim().is_empty()) {
            Some(values) => {
                *out += &format!("({text}|{PERCENT}(");
                replace_percent(values, out);
                out.push_str("))");
                at = code.len() - behind.len() + 1 + values.len();
            }
            None => out.push_str(text),
        }
    }
}

/// The length of what stands behind an operator: a value with its attributes, items, calls and filters.
fn operand_length(code: &str) -> usize {
    let spaces = |at: usize| at + code[at..].len() - code[at..].trim_start().len();
    let name = |at: usize| at + code[at..].find(|char| !is_word(char)).unwrap_or(code.len() - at);
    let mut at = spaces(0);
    at += usize::from(code[at..].starts_with(['-', '+']));
    match code[at..].chars().next() {
        Some('(' | '[' | '{') => at += bracket_length(&code[at..]),
        Some('\'' | '"') => at += quoted_length(&code[at..]),
        Some(char) if is_word(char) => at = name(at),
        _ => return 0,
    }
    loop {
        let next = spaces(at);
        match code[next..].chars().next() {
            Some('(' | '[') => at = next + bracket_length(&code[next..]),
            Some('.' | '|') => at = name(spaces(next + 1)),
            _ => return at,
        }
    }
}

fn bracket_length(code: &str) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while at < code.len() {
        match code.as_bytes()[at] {
            b'\'' | b'"' => {
                at += quoted_length(&code[at..]);
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += code[at..].chars().next().map_or(1, char::len_utf8);
        if depth == 0 {
            return at;
        }
    }
    code.len()
}
