//! `HOST:PORT` on the command line, and the addresses of several brokers counted from it.

use std::{net::IpAddr, str::FromStr};

use crate::env::Address;

/// Where the first broker listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Listen(pub Address);

/// What clients are told: a host, and a port if it is another than the one bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Advertise {
    host: String,
    port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match split(text)? {
            (host, Some(port)) => Ok(Listen(Address::new(host, port))),
            (_, None) => Err("expected HOST:PORT".into()),
        }
    }
}

impl FromStr for Advertise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = split(text)?;
        if is_any(&host) {
            return Err(format!("no client can connect to {host}: name a host they can reach"));
        }
        if port == Some(0) {
            return Err("no client can connect to port 0".into());
        }
        Ok(Advertise { host, port })
    }
}

/// Host and port; an IPv6 host stands in brackets.
fn split(text: &str) -> Result<(String, Option<u16>), String> {
    let expected = || "expected HOST:PORT, as in 127.0.0.1:9092 or [::1]:9092".to_owned();
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']').ok_or_else(expected)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let host_is_sound = !host.is_empty() && !host.contains(['/', ' ']);
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) => Some(digits.parse().map_err(|_| expected())?),
        None => return Err(expected()),
    };
    if host_is_sound { Ok((host.to_owned(), port)) } else { Err(expected()) }
}

/// Whether the host is the address that stands for all of a machine's own.
fn is_any(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

impl Listen {
    /// Where the broker of that index listens: on the ports after the first one's, or each on a free one.
    pub fn of(&self, index: u16) -> Option<Address> {
        Some(Address::new(self.0.host.clone(), nth_port(self.0.port, index)?))
    }

    pub fn is_any(&self) -> bool {
        is_any(&self.0.host)
    }
}

impl Advertise {
    /// What is told of the broker of that index, which is bound to `bound`.
    pub fn of(&self, index: u16, bound: &Address) -> Option<Address> {
        let port = match self.port {
            Some(first) => nth_port(first, index)?,
            None => bound.port,
        };
        Some(Address::new(self.host.clone(), port))
    }
}

/// `None` beyond the last port there is.
fn nth_port(first: u16, index: u16) -> Option<u16> {
    if first == 0 { Some(0) } else { first.checked_add(index) }
}

#[cfg(test)]
mod tests {
    use super::{Advertise, Listen};
    use crate::env::Address;

    #[test]
    fn brokers_take_consecutive_ports_and_port_0_stays_0() {
        let ports = |text: &str| {
            let listen: Listen = text.parse().unwrap();
            [0, 1, 2].map(|index| listen.of(index).map(|address| address.port))
        };
        assert_eq!(ports("127.0.0.1:9092"), [Some(9092), Some(9093), Some(9094)]);
        assert_eq!(ports("[::1]:0"), [Some(0); 3]);
        assert_eq!(ports("localhost:65534"), [Some(65534), Some(65535), None]);
    }

    #[test]
    fn a_wrong_address_is_told_what_is_expected() {
        for wrong in
            ["", "9092", "host", ":9092", "host:", "host:x", "host:70000", "[::1:9092", "::1:9"]
        {
            let error = wrong.parse::<Listen>().unwrap_err();
            assert!(error.starts_with("expected HOST:PORT"), "{wrong}: {error}");
        }
    }

    #[test]
    fn clients_are_told_the_bound_port_unless_another_is_named() {
        let told = |text: &str| {
            let bound = Address::new("0.0.0.0", 4321);
            text.parse::<Advertise>().unwrap().of(1, &bound).unwrap().to_string()
        };
        assert_eq!(told("kafka.example"), "kafka.example:4321");
        assert_eq!(told("kafka.example:9092"), "kafka.example:9093");
        assert_eq!(told("[fe80::1]"), "[fe80::1]:4321");
        assert!("0.0.0.0:9092".parse::<Advertise>().unwrap_err().contains("no client can connect"));
    }
}
