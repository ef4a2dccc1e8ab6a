use super::fixture::*;
use crate::{env::WallTime, kafka::{log::*, types::*}};
#[test]
#[allow(clippy::disallowed_methods)]
fn bench() {
    for (n, size) in [(1usize, 100usize), (10, 100), (1, 4000)] {
        let mut log = Fixture::new();
        let v = vec![0u8; size];
        let values: Vec<&[u8]> = (0..n).map(|_| &v[..]).collect();
        let b = batch(&values);
        let count = 100_000;
        let t = std::time::Instant::now();
        for _ in 0..count { log.append_at(&b, 1000).unwrap(); }
        let append = t.elapsed() / count;
        let seqs: Vec<_> = (0..count as i32).map(|s| sequenced(s as i64 % 4, 0, s / 4, &v)).collect();
        let mut log2 = Fixture::new();
        let t = std::time::Instant::now();
        for b in &seqs { log2.append_at(b, 1000).unwrap(); }
        let idem = t.elapsed() / count;
        let end = log.end_offset();
        let t = std::time::Instant::now();
        let mut r = 0u32;
        for i in 0..count { let o = Offset(end.0 - 1 - i as i64 % 3); log.read(o, 1, end, MinOneMessage::Yes).unwrap(); r += 1; }
        let tail = t.elapsed() / r;
        let t = std::time::Instant::now();
        let mut from = Offset(0); let mut reads = 0;
        while from < end { from = log.read(from, 50_000, end, MinOneMessage::Yes).unwrap().next_offset; reads += 1; }
        let scan = t.elapsed() / reads;
        let t = std::time::Instant::now();
        for i in 0..1000i64 { log.read(Offset(i * 7919 % end.0), 1, end, MinOneMessage::Yes).unwrap(); }
        let random = t.elapsed() / 1000;
        let f = log.disk.clone();
        let file = crate::env::Disk::open(&f, "orders-0/00000000000000000000.log", crate::env::OpenMode::ReadWrite).unwrap();
        let t = std::time::Instant::now();
        for i in 0..count { file.write_at(u64::from(i) * b.len() as u64, &b).unwrap(); }
        let raw = t.elapsed() / count;
        let _ = WallTime(0);
        let t = std::time::Instant::now();
        let mut c = 0; for _ in 0..count { c ^= crc32c::crc32c(&b); }
        let crc = t.elapsed() / count;
        eprintln!("{n}x{size} ({} bytes): append {append:?} idem {idem:?} tail read {tail:?} 50k read {scan:?} random {random:?} raw write {raw:?} crc {crc:?} {c}", b.len());
    }
}
