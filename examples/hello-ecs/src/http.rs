//! The pages of the service, as plain values: a request line goes in, a response comes out.
//! It knows nothing of sockets, so every page is tested without opening one.

/// The version that is served: the text of `VERSION` when the binary was compiled.
pub const VERSION: &str = include_str!("../VERSION").trim_ascii();

/// What goes back to the client.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code, with its reason phrase.
    pub status: &'static str,
    /// Plain text.
    pub body: String,
}

impl Response {
    /// The response as it goes over the wire (HTTP/1.1, one response per connection).
    pub fn to_wire(&self) -> String {
        format!(
            "HTTP/1.1 {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
            self.status,
            self.body.len(),
            self.body
        )
    }
}

/// Answers one request line, such as `GET /healthz HTTP/1.1`.
pub fn answer(request_line: &str) -> Response {
    let mut words = request_line.split_ascii_whitespace();
    let (method, target) = (words.next(), words.next());
    let path = target.map(|target| target.split('?').next().unwrap_or(target));
    match (method, path) {
        (Some("GET"), Some("/")) => respond("200 OK", format!("hello from version {VERSION}\n")),
        (Some("GET"), Some("/healthz")) => respond("200 OK", "ok\n".into()),
        (Some("GET"), Some(_)) => respond("404 Not Found", "no such page\n".into()),
        (Some(_), Some(_)) => respond("405 Method Not Allowed", "only GET is answered here\n".into()),
        _ => respond("400 Bad Request", "that is not an HTTP request\n".into()),
    }
}

fn respond(status: &'static str, body: String) -> Response {
    Response { status, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_page_names_the_version() {
        let page = answer("GET / HTTP/1.1");
        assert_eq!(page.status, "200 OK");
        assert_eq!(page.body, format!("hello from version {VERSION}\n"));
    }

    #[test]
    fn the_version_has_three_numbers() {
        let numbers: Vec<_> = VERSION.split('.').map(str::parse::<u32>).collect();
        assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "VERSION says {VERSION:?}");
    }

    #[test]
    fn the_health_page_answers_200_to_a_probe_with_a_query() {
        assert_eq!(answer("GET /healthz?from=probe HTTP/1.1").status, "200 OK");
    }

    #[test]
    fn everything_else_is_refused() {
        assert_eq!(answer("GET /nowhere HTTP/1.1").status, "404 Not Found");
        assert_eq!(answer("POST / HTTP/1.1").status, "405 Method Not Allowed");
        assert_eq!(answer("").status, "400 Bad Request");
    }

    #[test]
    fn a_response_says_how_long_it_is() {
        let wire = answer("GET /healthz HTTP/1.1").to_wire();
        assert!(wire.contains("\r\ncontent-length: 3\r\n") && wire.ends_with("\r\n\r\nok\n"), "{wire}");
    }
}
