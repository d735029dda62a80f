//! A TCP connection with a deadline and a cancellation, and reads and writes on it.
//! Effects: the network; nothing is sent that the caller did not give.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
    sockopt,
};

use crate::evaluate::Cancel;
use crate::providers::wait::{Deadline, Woken, wait};

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
}

/// Connects to `address`, a host and a port, trying each of the host's addresses; `None` when cancelled.
pub(super) fn dial(
    address: &str,
    cancel: &Cancel,
    deadline: Deadline,
) -> io::Result<Option<Connection>> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match connect_one(address, cancel, deadline) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn connect_one(
    address: SocketAddr,
    cancel: &Cancel,
    deadline: Deadline,
) -> io::Result<Option<Connection>> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &address) {
        Ok(()) => return Ok(Some(Connection { socket })),
        Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    if !is_ready(&socket, PollFlags::OUT, cancel, deadline)? {
        return Ok(None);
    }
    sockopt::socket_error(&socket)??;
    Ok(Some(Connection { socket }))
}

impl Connection {
    /// Sends all of `bytes`; `false` when cancelled.
    pub(super) fn send(
        &self,
        mut bytes: &[u8],
        cancel: &Cancel,
        deadline: Deadline,
    ) -> io::Result<bool> {
        while !bytes.is_empty() {
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::AGAIN) => {
                    if !is_ready(&self.socket, PollFlags::OUT, cancel, deadline)? {
                        return Ok(false);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Returns the first line that comes, without its end, at most `limit` bytes; `None` when cancelled.
    pub(super) fn first_line(
        &self,
        limit: usize,
        cancel: &Cancel,
        deadline: Deadline,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut buffer = [0; 512];
        loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Some(line)),
                Ok((count, _)) => line.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(Errno::AGAIN) => {
                    if !is_ready(&self.socket, PollFlags::IN, cancel, deadline)? {
                        return Ok(None);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
                return Ok(Some(line));
            }
            if line.len() >= limit {
                line.truncate(limit);
                return Ok(Some(line));
            }
        }
    }
}

/// Returns `false` when cancelled.
fn is_ready(
    socket: &OwnedFd,
    flags: PollFlags,
    cancel: &Cancel,
    deadline: Deadline,
) -> io::Result<bool> {
    match wait(Some((socket.as_fd(), flags)), Some(cancel), deadline)? {
        Woken::Ready => Ok(true),
        Woken::Cancelled => Ok(false),
        Woken::Late => Err(io::Error::new(ErrorKind::TimedOut, "no answer in time")),
    }
}
