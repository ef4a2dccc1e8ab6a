//! What both worlds promise of connections.

super::both_worlds! {
    bytes_arrive_in_order_and_unchanged
    both_directions_work_at_once
    a_write_returns_before_the_peer_reads
    a_writer_without_reader_waits_in_the_end
    a_shutdown_reads_as_end_of_file_and_leaves_the_other_direction
    a_dropped_stream_reads_as_end_of_file
    bytes_before_a_close_are_read
    a_close_with_bytes_unread_is_a_reset
    writes_to_a_closed_peer_fail_in_the_end
    connecting_where_nobody_listens_is_refused
    a_port_is_taken_once_and_free_after_the_listener
    port_zero_is_a_free_port
    connections_wait_in_the_backlog
    dropping_the_listener_keeps_accepted_connections
}

mod bodies {
    use std::{future::poll_fn, io::ErrorKind, pin::Pin, task::Poll, time::Duration};

    use retrial::env::{Address, Env, Listener, Stream};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

    async fn listen(env: &Env) -> Box<dyn Listener> {
        env.network.listen(Address::new("127.0.0.1", 0)).await.unwrap()
    }

    /// The connecting and the accepting end of a new connection.
    async fn pair(env: &Env) -> (Stream, Stream) {
        let mut listener = listen(env).await;
        let connecting = env.network.connect(listener.local_address());
        let (connected, accepted) = tokio::join!(biased; connecting, listener.accept());
        (connected.unwrap(), accepted.unwrap().0)
    }

    /// One attempt to write.
    async fn try_write(stream: &mut Stream, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_write(context, bytes))).await
    }

    fn numbers(count: usize) -> Vec<u8> {
        (0..count).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
    }

    async fn breathe(env: &Env) {
        env.clock.sleep_until(env.clock.now() + Duration::from_millis(5)).await;
    }

    pub async fn bytes_arrive_in_order_and_unchanged(env: Env) {
        let (mut sender, mut receiver) = pair(&env).await;
        let sent = numbers(3_000_000);
        let expected = sent.clone();
        env.tasks.spawn(
            "sender",
            Box::pin(async move {
                for (i, piece) in sent.chunks(70_001).enumerate() {
                    let (first, second) = piece.split_at(piece.len() * (i % 5) / 5);
                    sender.write_all(first).await.unwrap();
                    sender.write_all(second).await.unwrap();
                }
                sender.flush().await.unwrap();
                sender.shutdown().await.unwrap();
            }),
        );
        let mut received = Vec::new();
        receiver.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
    }

    pub async fn both_directions_work_at_once(env: Env) {
        let (one, other) = pair(&env).await;
        let both = [one, other].map(|stream| {
            let (mut reader, mut writer) = tokio::io::split(stream);
            async move {
                let sent = numbers(500_000);
                let mut received = vec![0; sent.len()];
                let writing = async { writer.write_all(&sent).await };
                let (read, written) =
                    tokio::join!(biased; reader.read_exact(&mut received), writing);
                read.unwrap();
                written.unwrap();
                assert!(received == sent);
            }
        });
        let [one, other] = both;
        tokio::join!(biased; one, other);
    }

    pub async fn a_write_returns_before_the_peer_reads(env: Env) {
        let (mut sender, mut receiver) = pair(&env).await;
        sender.write_all(&[7; 10_000]).await.unwrap();
        let mut received = vec![0; 10_000];
        receiver.read_exact(&mut received).await.unwrap();
        assert_eq!(received, [7; 10_000]);
    }

    pub async fn a_writer_without_reader_waits_in_the_end(env: Env) {
        let (mut sender, mut receiver) = pair(&env).await;
        let piece = [1; 65_536];
        let mut written = 0usize;
        // Until a write stays pending for a while: the real world moves its buffers in the background.
        loop {
            if let Poll::Ready(count) = try_write(&mut sender, &piece).await {
                written += count.unwrap();
                assert!(written < 1 << 30, "buffers are bounded");
                continue;
            }
            breathe(&env).await;
            if try_write(&mut sender, &piece).await.is_pending() {
                break;
            }
        }
        assert!(written > 0);
        // Reading makes room again.
        env.tasks.spawn(
            "reader",
            Box::pin(async move {
                let mut buf = vec![0; 65_536];
                while receiver.read(&mut buf).await.unwrap() > 0 {}
            }),
        );
        sender.write_all(&piece).await.unwrap();
    }

    pub async fn a_shutdown_reads_as_end_of_file_and_leaves_the_other_direction(env: Env) {
        let (mut one, mut other) = pair(&env).await;
        one.write_all(b"last words").await.unwrap();
        one.shutdown().await.unwrap();
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last words");
        assert_eq!(other.read(&mut [0; 4]).await.unwrap(), 0, "the end stays the end");
        other.write_all(b"an answer").await.unwrap();
        let mut answer = [0; 9];
        one.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"an answer");
        assert!(one.write_all(b"more").await.is_err(), "nothing follows a shutdown");
    }

    pub async fn a_dropped_stream_reads_as_end_of_file(env: Env) {
        let (one, mut other) = pair(&env).await;
        drop(one);
        assert_eq!(other.read(&mut [0; 4]).await.unwrap(), 0);
    }

    pub async fn bytes_before_a_close_are_read(env: Env) {
        let (mut one, mut other) = pair(&env).await;
        let sent = numbers(50_000);
        one.write_all(&sent).await.unwrap();
        drop(one);
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).await.unwrap();
        assert!(heard == sent);
    }

    pub async fn a_close_with_bytes_unread_is_a_reset(env: Env) {
        let (mut one, mut other) = pair(&env).await;
        one.write_all(b"never read").await.unwrap();
        // The bytes are there before the close.
        other.read_exact(&mut [0; 1]).await.unwrap();
        drop(other);
        let error = one.read(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    pub async fn writes_to_a_closed_peer_fail_in_the_end(env: Env) {
        let (mut one, other) = pair(&env).await;
        drop(other);
        for _ in 0..1000 {
            if let Err(error) = one.write_all(b"hello?").await {
                let expected = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                assert!(expected.contains(&error.kind()), "{error}");
                return;
            }
            breathe(&env).await;
        }
        panic!("a thousand writes went nowhere without an error");
    }

    pub async fn connecting_where_nobody_listens_is_refused(env: Env) {
        let address = listen(&env).await.local_address();
        let Err(error) = env.network.connect(address).await else {
            panic!("somebody answered");
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    pub async fn a_port_is_taken_once_and_free_after_the_listener(env: Env) {
        let listener = listen(&env).await;
        let address = listener.local_address();
        let Err(error) = env.network.listen(address.clone()).await else {
            panic!("a port was given twice");
        };
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        let again = env.network.listen(address.clone()).await.unwrap();
        assert_eq!(again.local_address(), address);
    }

    pub async fn port_zero_is_a_free_port(env: Env) {
        let (one, other) = (listen(&env).await, listen(&env).await);
        assert_ne!(one.local_address().port, 0);
        assert_ne!(one.local_address(), other.local_address());
        assert_eq!(one.local_address().host, "127.0.0.1");
    }

    pub async fn connections_wait_in_the_backlog(env: Env) {
        let mut listener = listen(&env).await;
        let address = listener.local_address();
        let mut first = env.network.connect(address.clone()).await.unwrap();
        let mut second = env.network.connect(address).await.unwrap();
        first.write_all(b"1").await.unwrap();
        second.write_all(b"2").await.unwrap();
        let mut heard = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            heard.push(stream.read_u8().await.unwrap());
        }
        heard.sort_unstable();
        assert_eq!(heard, b"12");
    }

    pub async fn dropping_the_listener_keeps_accepted_connections(env: Env) {
        let (mut one, mut other) = pair(&env).await;
        one.write_all(b"still here").await.unwrap();
        let mut heard = [0; 10];
        other.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"still here");
        let idle = poll_fn(|context| {
            let mut buf = [0; 1];
            let mut buf = tokio::io::ReadBuf::new(&mut buf);
            Poll::Ready(Pin::new(&mut other).poll_read(context, &mut buf).is_pending())
        });
        assert!(idle.await, "an open connection without bytes is pending");
    }
}
