//! Descriptors that go to another process over a Unix socket (`unix(7)`, SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors that one message carries at most.
const DESCRIPTORS_MAX: usize = 4;

/// Sends `bytes` with `descriptors` in one message; how many of the bytes the kernel took.
///
/// # Errors
/// The socket is full (`WouldBlock`), or gone, or there are more than four descriptors.
pub fn send_with(
    socket: &impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Receives into `bytes`, and whatever descriptors come with it, closed on exec. Zero bytes: the
/// other side has ended.
///
/// # Errors
/// Nothing is there yet (`WouldBlock`), or the socket is gone.
pub fn receive_with(socket: &impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(bytes)];
    let received = recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok((received.bytes, descriptors.flatten().collect()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sys::doorbell::Doorbell;

    #[test]
    fn a_doorbell_rings_through_another_descriptor() {
        let (mut one, other) = UnixStream::pair().unwrap();
        let bell = Doorbell::new().unwrap();
        assert_eq!(send_with(&one, b"bell", &[bell.as_fd(), bell.as_fd()]).unwrap(), 4);
        let mut bytes = [0; 8];
        let (length, mut descriptors) = receive_with(&other, &mut bytes).unwrap();
        assert_eq!((&bytes[..length], descriptors.len()), (&b"bell"[..], 2));
        Doorbell::from(descriptors.remove(0)).ring();
        assert!(bell.answer());
        one.write_all(b"plain").unwrap();
        assert_eq!(receive_with(&other, &mut bytes).unwrap().1.len(), 0);
        drop(one);
        assert_eq!(receive_with(&other, &mut bytes).unwrap().0, 0);
        let many = [bell.as_fd(); DESCRIPTORS_MAX + 1];
        assert!(send_with(&other, b"x", &many).is_err());
    }
}
