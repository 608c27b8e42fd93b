//! One UDP packet that any QUIC server answers without a handshake: a long-header packet of a version that does not
//! exist, to which it lists the versions it speaks (RFC 9000 section 6.1; the layout is fixed for every version by
//! RFC 8999). It tells a blocked path from a server that answers but cannot agree.

/// Servers ignore a first packet that is smaller (RFC 9000 section 14.1).
const PACKET_BYTES: usize = 1200;

/// Reserved to force this answer (RFC 9000 section 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];

const LONG_HEADER: u8 = 0b1100_0000;
const ID_BYTES: u8 = 8;

/// A question, told from others by its connection ids.
pub(super) struct VersionProbe {
    to: [u8; ID_BYTES as usize],
    from: [u8; ID_BYTES as usize],
}

impl VersionProbe {
    /// A probe with ids drawn from `chance`.
    pub(super) fn new(chance: [u8; 16]) -> Self {
        let (mut to, mut from) = ([0; ID_BYTES as usize], [0; ID_BYTES as usize]);
        to.copy_from_slice(&chance[..8]);
        from.copy_from_slice(&chance[8..]);
        Self { to, from }
    }

    /// The packet to send.
    pub(super) fn packet(&self) -> Vec<u8> {
        let mut packet = vec![LONG_HEADER];
        packet.extend(NO_VERSION);
        packet.push(ID_BYTES);
        packet.extend(self.to);
        packet.push(ID_BYTES);
        packet.extend(self.from);
        packet.resize(PACKET_BYTES, 0);
        packet
    }

    /// Whether a packet is the answer: a version negotiation with our ids the other way round.
    pub(super) fn is_answered_by(&self, packet: &[u8]) -> bool {
        let mut expected = vec![0, 0, 0, 0, ID_BYTES];
        expected.extend(self.from);
        expected.push(ID_BYTES);
        expected.extend(self.to);
        let Some((first, rest)) = packet.split_first() else { return false };
        first & 0b1000_0000 != 0 && rest.starts_with(&expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as quinn 0.11 answers them.
    fn answer(probe: &VersionProbe) -> Vec<u8> {
        let packet = probe.packet();
        let mut answer = vec![0xd3, 0, 0, 0, 0];
        answer.extend(&packet[14..23]);
        answer.extend(&packet[5..14]);
        answer.extend([0x0a, 0x1a, 0x2a, 0x3a, 0, 0, 0, 1]);
        answer
    }

    #[test]
    fn only_the_answer_to_this_probe_counts() {
        let probe = VersionProbe::new(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        assert_eq!(probe.packet().len(), PACKET_BYTES);
        let good = answer(&probe);
        assert!(probe.is_answered_by(&good));
        assert!(!VersionProbe::new([9; 16]).is_answered_by(&good));
        assert!(!probe.is_answered_by(&probe.packet()), "an echo is no answer");
        for length in 0..23 {
            assert!(!probe.is_answered_by(&good[..length]), "cut at {length}");
        }
    }
}
