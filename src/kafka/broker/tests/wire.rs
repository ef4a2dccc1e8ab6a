//! Frames, versions and connections.

use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, MetadataRequest,
    },
    protocol::StrBytes,
};
use rand::Rng as _;

use super::bench::{Wire, beside_a_broker};
use crate::kafka::protocol::message::decode_response;

const LONG: Duration = Duration::from_secs(3600);

/// A frame around a bare head and body.
fn frame(key: i16, version: i16, rest: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i32(8 + rest.len() as i32);
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(77);
    frame.put_slice(rest);
    frame
}

#[test]
fn api_versions_of_the_future_are_answered_in_version_0() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let mut rest = BytesMut::new();
        rest.put_i16(-1);
        rest.put_slice(&[0, 9, 9, 9]);
        wire.send_bytes(&frame(ApiKey::ApiVersions as i16, 99, &rest)).await;
        let answer = wire.frame().await.unwrap();
        let answer: ApiVersionsResponse = decode_response(answer, 77, 0).unwrap();
        assert_eq!(answer.error_code, 35);
        let own: Vec<_> = answer
            .api_keys
            .iter()
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect();
        assert_eq!(own, [(18, 0, 4)]);
        // The same connection asks again, in a version that is known.
        let answer = wire.ask(0, &ApiVersionsRequest::default()).await;
        let produce = answer.api_keys.iter().find(|api| api.api_key == 0).unwrap();
        assert_eq!((answer.error_code, produce.min_version), (0, 0));
    });
}

#[test]
fn api_versions_says_nothing_in_tagged_fields() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for version in [3, 4] {
            let request = ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str("wire"))
                .with_client_software_version(StrBytes::from_static_str("1.0"));
            wire.send(version, &request).await;
            let answer = wire.frame().await.unwrap();
            // Correlation id, error code, and an array with an empty set of tags per element; nothing
            // behind the throttle time but the empty set of the body's own tags.
            let count = usize::from(answer[6]) - 1;
            assert_eq!(answer.len(), 6 + 1 + count * 7 + 4 + 1, "version {version}");
            assert_eq!(answer.last(), Some(&0));
        }
    });
}

#[test]
fn what_is_not_served_closes_its_connection_and_no_other() {
    beside_a_broker(LONG, |_, env| async move {
        let mut other = Wire::open(&env).await;
        let unknown_key = frame(9999, 0, &[]);
        let unknown_version = frame(ApiKey::Produce as i16, 0, &[255, 255]);
        let too_short = BytesMut::from(&[0, 0, 0, 3, 1, 2, 3][..]);
        let too_long = BytesMut::from(&i32::MAX.to_be_bytes()[..]);
        // An array of two thousand million topics.
        let absurd_array = frame(ApiKey::Metadata as i16, 4, &[255, 255, 0x7f, 255, 255, 255]);
        for bytes in [unknown_key, unknown_version, too_short, too_long, absurd_array] {
            let mut wire = Wire::open(&env).await;
            wire.send_bytes(&bytes).await;
            assert!(wire.is_closed().await, "{bytes:?}");
            other.ask(1, &MetadataRequest::default()).await;
        }
    });
}

#[test]
fn random_frames_harm_nobody() {
    beside_a_broker(LONG, |_, env| async move {
        let mut other = Wire::open(&env).await;
        let mut rng = env.rng.stream("garbage");
        let keys = [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18, 19, 22, 67];
        for round in 0..300_usize {
            let key = keys[round % keys.len()];
            let mut rest = vec![0; rng.next_u32() as usize % 64];
            rng.fill_bytes(&mut rest);
            if round % 3 == 0 {
                // No client id and no tags, so that the body is reached, and small numbers in it.
                rest.iter_mut().for_each(|byte| *byte &= 3);
                rest.splice(0..0, [255, 255, 0]);
            }
            let mut wire = Wire::open(&env).await;
            wire.send_bytes(&frame(key, (rng.next_u32() % 12) as i16, &rest)).await;
        }
        let answer = other.ask(9, &MetadataRequest::default()).await;
        assert_eq!(answer.brokers.len(), 1);
    });
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let mut sent = Vec::new();
        for _ in 0..5 {
            sent.push(wire.send(1, &MetadataRequest::default()).await);
            sent.push(wire.send(4, &HeartbeatRequest::default()).await);
        }
        for correlation in sent {
            assert_eq!(wire.frame().await.unwrap().get_i32(), correlation);
        }
    });
}
