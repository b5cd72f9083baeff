//! A small HTTP service, made to be deployed: `/` names the version, `/healthz` answers 200.
//! `hello-ecs serve` listens on `$PORT`; `hello-ecs healthcheck` asks the running service how it is,
//! because the image holds no shell and no curl that ECS could run instead.

mod http;

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Longer than any honest request line; a client that sends more is cut off.
const MAX_REQUEST_BYTES: u64 = 8 * 1024;
/// A silent client must not keep a thread for ever.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let command = env::args().nth(1);
    let result = match command.as_deref() {
        Some("serve") => port().and_then(serve),
        Some("healthcheck") => port().and_then(healthcheck),
        _ => {
            eprintln!("hello-ecs: say `serve` or `healthcheck`, not {:?}", command.unwrap_or_default());
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello-ecs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The port to listen on: `$PORT`, or 8080.
fn port() -> io::Result<u16> {
    let Ok(text) = env::var("PORT") else { return Ok(8080) };
    text.parse()
        .map_err(|_| io::Error::other(format!("PORT is {text:?}; set it to a number from 1 to 65535")))
}

/// Serves until the container is stopped.
fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("version {} listens on port {}", http::VERSION, listener.local_addr()?.port());
    for client in listener.incoming() {
        // A client that hangs up is its own affair; the others are still served.
        thread::spawn(move || {
            client.and_then(|client| handle(&client)).unwrap_or_else(|error| eprintln!("client: {error}"));
        });
    }
    Ok(())
}

/// Reads one request, answers it and closes the connection.
fn handle(mut client: &TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    client.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut reader = BufReader::new(client.take(MAX_REQUEST_BYTES));
    let mut request_line = String::new();
    reader.read_line(&mut request_line)?;
    // The headers are read to their end: closing a socket with unread bytes would reset it.
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    client.write_all(http::answer(&request_line).to_wire().as_bytes())
}

/// Succeeds if the service in this container answers 200 to `GET /healthz`.
fn healthcheck(port: u16) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    server.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut status_line = String::new();
    BufReader::new(server).read_line(&mut status_line)?;
    if status_line.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(io::Error::other(format!("GET /healthz answered {:?}", status_line.trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a service that treats each client as told, and returns its port.
    fn service(treat: impl Fn(&TcpStream) -> io::Result<()> + Send + 'static) -> io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || listener.incoming().flatten().try_for_each(|client| treat(&client)));
        Ok(port)
    }

    #[test]
    fn a_running_service_finds_itself_healthy() -> io::Result<()> {
        healthcheck(service(handle)?)
    }

    #[test]
    fn a_service_that_answers_503_is_unhealthy() -> io::Result<()> {
        let sick = service(|mut client| client.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"))?;
        assert!(healthcheck(sick).is_err());
        Ok(())
    }
}
