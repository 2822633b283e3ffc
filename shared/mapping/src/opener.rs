//! Opens the payload of a record: takes the layers off one by one, in whatever order they come, until the orders are
//! reached.
//!
//! Layers are gzip, base64, envelopes of AWS's services, JSON inside a JSON text, and lists of orders. Each step looks
//! only at what is there now, so any layer may be inside any other. The limits hold for a record as a whole: the number
//! of layers, the bytes that are decompressed, and the number of orders.

use std::io::Read as _;
use std::ops::ControlFlow;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::base64_text::{GZIP_MAGIC, decode_openable_base64};
use crate::envelopes::{Content, MARKS, Unwrapped, unwrap_envelope};
use crate::failure::{Failure, Rejection};
use crate::json::{self, JsonError, mark_broken_bytes};
use crate::json_lists::{JsonList, read_json_lines, read_json_list};
use crate::layer::Layer;

/// The largest payload after decompression, in bytes: more than the limit of Lambda for an event, because of gzip.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;
/// The most layers around an order.
const MAX_LAYERS: usize = 5;
/// The most orders in a record.
const MAX_ORDERS: usize = 10_000;

/// What a payload has inside: an order, or what keeps one from being read.
pub(crate) struct Opened<'a> {
    /// The element of the innermost list that holds it, and nothing else; `None` if there is no list around it.
    pub(crate) element: Option<&'a [u8]>,
    /// The JSON object, or why there is none.
    pub(crate) value: Result<Value, Failure>,
}

/// Opens a payload and hands each order in it to `visit`, which says whether to go on. Returns how many bytes were
/// decompressed.
pub(crate) fn open_payload(
    payload: &[u8],
    visit: &mut dyn FnMut(Opened<'_>) -> ControlFlow<()>,
) -> usize {
    let mut opener = Opener {
        visit,
        layers: Vec::new(),
        inflated: 0,
        orders: 1,
    };
    // `Break` only says that the visitor wants no more.
    let _ = opener.open(payload, None);
    opener.inflated
}

/// Whether a payload is certainly one order without any layer. It is decided without building the order.
pub(crate) fn is_bare_order(payload: &[u8]) -> bool {
    let text = payload.trim_ascii();
    let has = |name: &str| memchr::memmem::find(text, name.as_bytes()).is_some();
    // With escapes, the name of a member may be written in other characters.
    text.starts_with(b"{")
        && !MARKS.iter().any(|name| has(name))
        && !has("\\u")
        && json::end_of_object(text) == Some(text.len())
}

struct Opener<'v> {
    visit: &'v mut dyn FnMut(Opened<'_>) -> ControlFlow<()>,
    /// The layers around what is read now, the outermost first.
    layers: Vec<Layer>,
    inflated: usize,
    /// The orders that were found; a list of n adds n - 1.
    orders: usize,
}

impl Opener<'_> {
    /// Opens bytes that are a layer, a list or an order.
    fn open(&mut self, bytes: &[u8], element: Option<&[u8]>) -> ControlFlow<()> {
        match self.try_open(bytes, element) {
            Ok(flow) => flow,
            Err(failure) => {
                let value = Err(self.say_where(failure));
                (self.visit)(Opened { element, value })
            }
        }
    }

    fn try_open(
        &mut self,
        bytes: &[u8],
        element: Option<&[u8]>,
    ) -> Result<ControlFlow<()>, Failure> {
        if bytes.starts_with(&GZIP_MAGIC) {
            let plain = self.inflate(bytes)?;
            return self.enter(Layer::Gzip, |opener| opener.open(&plain, element));
        }
        let text = json::trim_text(bytes);
        match text.first() {
            None => {
                let reason = "the payload is empty; it should be one JSON object";
                Err(Failure::rejected("empty", reason))
            }
            Some(b'{') => self.open_object(text, element),
            Some(b'[') => {
                let text = mark_broken_bytes(text);
                let list =
                    read_json_list(&text, MAX_ORDERS).map_err(|error| reject_json(&error))?;
                self.open_list(&list, Layer::Element)
            }
            Some(b'"') => match json::parse_json(text).map_err(|error| reject_json(&error))? {
                Value::String(inner) => self.enter(Layer::JsonText, |opener| {
                    opener.open(inner.as_bytes(), element)
                }),
                _ => Err(reject_other_json()),
            },
            Some(_) => {
                if let Some(decoded) = decode_openable_base64(text)? {
                    return self.enter(Layer::Base64, |opener| opener.open(&decoded, element));
                }
                json::parse_json(text).map_err(|error| reject_json(&error))?;
                Err(reject_other_json())
            }
        }
    }

    fn open_object(
        &mut self,
        text: &[u8],
        element: Option<&[u8]>,
    ) -> Result<ControlFlow<()>, Failure> {
        if text.len() > MAX_PAYLOAD_BYTES {
            let reason = format!("the payload is over {MAX_PAYLOAD_BYTES} bytes");
            return Err(Failure::rejected("too-large", reason));
        }
        match json::parse_json(text) {
            Ok(value) => self.open_value(value, element),
            Err(error) => {
                let text = mark_broken_bytes(text);
                match read_json_lines(&text, MAX_ORDERS) {
                    Some(lines) => self.open_list(&lines, Layer::Line),
                    None => Err(reject_json(&error)),
                }
            }
        }
    }

    /// Opens an object that is an envelope, or an order.
    fn open_value(
        &mut self,
        value: Value,
        element: Option<&[u8]>,
    ) -> Result<ControlFlow<()>, Failure> {
        let (layer, content) = match unwrap_envelope(value)? {
            Unwrapped::Envelope(layer, content) => (layer, content),
            Unwrapped::Order(order) => {
                let value = Ok(order);
                return Ok((self.visit)(Opened { element, value }));
            }
        };
        self.enter(layer, |opener| match content {
            Content::Bytes(bytes) => opener.open(&bytes, element),
            Content::Object(value) => match opener.open_value(value, element) {
                Ok(flow) => flow,
                Err(failure) => {
                    let value = Err(opener.say_where(failure));
                    (opener.visit)(Opened { element, value })
                }
            },
        })
    }

    fn open_list(
        &mut self,
        list: &JsonList<'_>,
        layer: impl Fn(usize) -> Layer,
    ) -> Result<ControlFlow<()>, Failure> {
        self.orders = (self.orders + list.count).saturating_sub(1);
        if self.orders > MAX_ORDERS {
            let reason = format!(
                "the payload holds more than {MAX_ORDERS} orders; at most {MAX_ORDERS} are read"
            );
            return Err(Failure::rejected("too-large", reason));
        }
        if list.count == 0 {
            let reason =
                "the payload is a list without an element; it should have at least one order";
            return Err(Failure::rejected("empty", reason));
        }
        for (number, text) in (1..).zip(&list.texts) {
            let text = text.as_bytes();
            let flow = self.enter(layer(number), |opener| opener.open(text, Some(text)))?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Opens what is inside a layer.
    fn enter(
        &mut self,
        layer: Layer,
        open: impl FnOnce(&mut Self) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        if self.layers.len() == MAX_LAYERS {
            let reason = format!(
                "the payload has more than {MAX_LAYERS} layers, such as envelopes, gzip or lists; at most {MAX_LAYERS} are opened"
            );
            return Err(Failure::rejected("too-many-layers", reason));
        }
        self.layers.push(layer);
        let flow = open(self);
        self.layers.pop();
        Ok(flow)
    }

    /// Decompresses gzip; all gzip in a record together must not exceed [`MAX_PAYLOAD_BYTES`].
    fn inflate(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let left = MAX_PAYLOAD_BYTES.saturating_sub(self.inflated);
        let mut plain = Vec::new();
        let read = MultiGzDecoder::new(bytes)
            .take(left as u64 + 1)
            .read_to_end(&mut plain);
        self.inflated = self.inflated.saturating_add(plain.len());
        read.map_err(|_| {
            let reason = "the payload begins like gzip and cannot be decompressed";
            Failure::rejected("bad-gzip", reason)
        })?;
        if plain.len() > left {
            let reason = format!("the payload is over {MAX_PAYLOAD_BYTES} bytes decompressed");
            return Err(Failure::rejected("too-large", reason));
        }
        Ok(plain)
    }

    /// Puts the layers that were taken off before the reason.
    fn say_where(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Rejected(rejection) if !self.layers.is_empty() => {
                let layers: Vec<String> = self.layers.iter().map(Layer::to_string).collect();
                Failure::Rejected(Rejection {
                    reason: format!("{}: {}", layers.join(", "), rejection.reason),
                    ..rejection
                })
            }
            failure => failure,
        }
    }
}

fn reject_json(error: &JsonError) -> Failure {
    let class = match error {
        JsonError::TooManyValues => "too-large",
        JsonError::TooDeep => "too-deep",
        JsonError::NotJson(_) => "not-json",
    };
    Failure::rejected(class, error.to_string())
}

fn reject_other_json() -> Failure {
    Failure::rejected("not-an-object", "the payload is JSON and not an object")
}

#[cfg(test)]
mod tests;
