//! Messages over the one socket between the executor and a helper: a length, the bytes, and open files beside them.
//! Knows nothing of what the messages mean.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// No message is larger.
const MOST: u32 = 64 << 20;

/// How many open files go with a message: the command's two streams.
const FILES: usize = 2;

/// Writes one message: its length, then its bytes.
pub(crate) fn send(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    to.write_all(&framed(message)?)
}

/// Writes one message with `files` beside it, which [`receive_with_files`] returns.
pub(crate) fn send_with_files(
    mut to: &UnixStream,
    message: &[u8],
    files: [BorrowedFd<'_>; FILES],
) -> io::Result<()> {
    let framed = framed(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = [IoSlice::new(&framed)];
    let sent = rustix::net::sendmsg(to, &bytes, &mut beside, SendFlags::NOSIGNAL)?;
    to.write_all(framed.get(sent..).unwrap_or_default())
}

fn framed(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(message.len())
        .ok()
        .filter(|length| *length <= MOST);
    let length = length.ok_or(io::ErrorKind::FileTooLarge)?;
    let mut framed = length.to_le_bytes().to_vec();
    framed.extend_from_slice(message);
    Ok(framed)
}

/// Reads one message; none when the other end is gone.
pub(crate) fn receive(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    rest(from, length)
}

/// Reads one message and the open files beside it; none when the other end is gone or sends other files.
pub(crate) fn receive_with_files(
    mut from: &UnixStream,
) -> io::Result<Option<(Vec<u8>, [OwnedFd; FILES])>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let bytes = &mut [IoSliceMut::new(&mut length)];
    let got = rustix::net::recvmsg(from, bytes, &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let files: Vec<OwnedFd> = beside
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        })
        .flatten()
        .collect();
    // A stream may part anywhere, and does so in practice only where it ends.
    let (Ok(files), true) = (files.try_into(), got == length.len()) else {
        return Ok(None);
    };
    Ok(rest(&mut from, length)?.map(|message| (message, files)))
}

fn rest(from: &mut impl Read, length: [u8; 4]) -> io::Result<Option<Vec<u8>>> {
    let length = u32::from_le_bytes(length);
    if length > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut message)?;
    let whole = message.len() == usize::try_from(length).unwrap_or(usize::MAX);
    Ok(whole.then_some(message))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_message_that_is_cut_short_is_no_message() {
        let mut wire = Vec::new();
        send(&mut wire, b"hello").unwrap();
        assert_eq!(receive(&mut wire.as_slice()).unwrap().unwrap(), b"hello");
        assert_eq!(receive(&mut &wire[..7]).unwrap(), None);
        assert_eq!(receive(&mut &wire[..0]).unwrap(), None);
    }

    #[test]
    fn open_files_go_with_a_message_however_long_it_is() {
        let (here, there) = UnixStream::pair().unwrap();
        let long = vec![b'x'; 1 << 20];
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (end, writer) = io::pipe().unwrap();
                send_with_files(&here, &long, [writer.as_fd(), end.as_fd()]).unwrap();
                here.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let (message, [writer, reader]) = receive_with_files(&there).unwrap().unwrap();
            assert_eq!(message, long);
            rustix::io::write(&writer, b"!").unwrap();
            let mut text = [0; 1];
            rustix::io::read(&reader, &mut text).unwrap();
            assert_eq!(&text, b"!");
            assert!(receive_with_files(&there).unwrap().is_none());
        });
    }
}
