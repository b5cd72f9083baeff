//! Which addresses a check may reach: public ones, and private ones that the installation names.
//!
//! A URL in a pipeline file is written by whoever may push; it must not become a way into the network that
//! the function runs in (row A26). Lists follow the IANA special-purpose address registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The port of the Lambda runtime API, on loopback.
const RUNTIME_API_PORT: u16 = 9001;

/// Refuses an address that a check may not reach, with the reason.
pub(crate) fn check(address: IpAddr, port: u16, allowed: &[IpNet]) -> Result<(), String> {
    let address = plain(address);
    if address.is_loopback() && port == RUNTIME_API_PORT {
        return Err(format!("{address}:{port} is the function's own runtime"));
    }
    let is_allowed = allowed.iter().any(|network| network.contains(&address));
    if is_allowed || is_global(address) {
        return Ok(());
    }
    Err(format!(
        "{address} is not a public address; an administrator can allow its network with {}",
        crate::settings::VALIDATION_ALLOW
    ))
}

/// An IPv4 address that is dressed as IPv6 (mapped, or behind NAT64 by RFC 6052) is what it stands for.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else { return address.to_canonical() };
    let [a, b, c, d] = six.octets()[12..] else { return address };
    if six.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] { IpAddr::from([a, b, c, d]) } else { address }
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_global_v4(four),
        IpAddr::V6(six) => is_global_v6(six),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        // Multicast, reserved and broadcast are all above 223.
        0 | 10 | 127 | 224.. => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => matches!((b, c), (168, _) | (0, 0 | 2) | (31, 196) | (52, 193) | (88, 99) | (175, 48)),
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !special
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_unicast = (0x2000..0x4000).contains(&a);
    // Protocol assignments with Teredo, documentation, 6to4 (which carries an IPv4 address), segment routing.
    let special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    is_unicast && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(address: &str) -> bool {
        check(address.parse().unwrap(), 80, &[]).is_ok()
    }

    #[test]
    fn public_addresses_pass() {
        for address in
            ["8.8.8.8", "52.94.236.248", "192.0.1.1", "2600:1f18::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]
        {
            assert!(passes(address), "{address}");
        }
    }

    #[test]
    fn a26_addresses_inside_do_not() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "fd00:ec2::254",
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "203.0.113.9",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "100::1",
        ] {
            assert!(!passes(address), "{address}");
        }
    }

    #[test]
    fn an_allowed_network_is_reached_except_the_runtime_api() {
        let allowed = ["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let check = |address: &str, port| check(address.parse().unwrap(), port, &allowed);
        assert!(check("127.0.0.1", 4566).is_ok() && check("::ffff:10.0.0.1", 80).is_ok());
        assert!(check("192.168.0.1", 80).is_err());
        for address in ["127.0.0.1", "127.1.2.3", "::ffff:127.0.0.1"] {
            assert!(check(address, 9001).unwrap_err().contains("runtime"), "{address}");
        }
        assert!(super::check("::1".parse().unwrap(), 9001, &["::/0".parse().unwrap()]).is_err());
    }
}
