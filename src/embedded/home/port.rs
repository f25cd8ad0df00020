//! The port of a cluster: given, or any that is free when the cluster is served for the first time.
//!
//! A free port is only known to be free by whoever listens on it, and a folder is made before anybody does. So a port that
//! was found is tentative until the first start: if somebody else has it by then, that start takes another. After it the
//! port stays, because kubeconfigs name it.

use std::net::{Ipv4Addr, SocketAddr};

use super::Home;
use crate::diag::codes::embedded::PORT_TAKEN;
use crate::error::{Error, Result};

/// Finds a port that nobody listens on at the moment.
pub(super) fn find() -> Result<u16> {
    let fail = |cause| Error::new(&PORT_TAKEN, "no loopback port can be opened").because(cause);
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(fail)?;
    Ok(listener.local_addr().map_err(fail)?.port())
}

impl Home {
    /// Listens where the cluster is reached, which is settled by that.
    ///
    /// Only for whoever holds the folder's lock.
    pub(in crate::embedded) fn listen(&mut self) -> Result<std::net::TcpListener> {
        let fail = |address: SocketAddr, cause| {
            Error::new(&PORT_TAKEN, format!("cannot listen on {address}"))
                .because(cause)
                .help("stop whatever uses the port, or delete the cluster and create it again")
        };
        let wanted = self.address();
        let listener = match std::net::TcpListener::bind(wanted) {
            Err(cause)
                if self.config.tentative && cause.kind() == std::io::ErrorKind::AddrInUse =>
            {
                let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                std::net::TcpListener::bind(any).map_err(|cause| fail(any, cause))?
            }
            other => other.map_err(|cause| fail(wanted, cause))?,
        };
        if self.config.tentative {
            let bound = listener.local_addr().map_err(|cause| fail(wanted, cause))?;
            self.config.port = bound.port();
            self.config.tentative = false;
            self.write_config()?;
        }
        Ok(listener)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::super::tests::identity;
    use crate::embedded::home::{Home, Identity};

    #[test]
    fn a_port_that_was_taken_before_the_first_start_is_chosen_again_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev");
        let mut home = Home::create(&path, &identity()).unwrap();
        let found = home.address();
        let other = TcpListener::bind(found).unwrap();
        let listener = home.listen().unwrap();
        assert_ne!(home.address(), found);
        assert_eq!(listener.local_addr().unwrap(), home.address());
        assert_eq!(Home::open(&path).unwrap().address(), home.address());
        drop((listener, other));
        let taken = TcpListener::bind(home.address()).unwrap();
        let again = Home::open(&path).unwrap().listen();
        assert_eq!(again.err().unwrap().code().id, "E0709");
        drop(taken);
        Home::open(&path).unwrap().listen().unwrap();
    }

    #[test]
    fn a_port_that_was_asked_for_is_never_another() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = Some(taken.local_addr().unwrap().port());
        let identity = Identity { port, ..identity() };
        let mut home = Home::create(&folder.path().join("dev"), &identity).unwrap();
        assert!(home.listen().is_err());
    }
}
