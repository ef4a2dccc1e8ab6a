"""A member is killed with what it had not committed: the others take over, no record is missing."""
import signal
import subprocess
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

PARTITIONS, RECORDS = 4, 200


def member(bootstrap):
    """Tells each record on standard output after it has read it; never commits in time."""
    consumer = KafkaConsumer(
        "inherited",
        bootstrap_servers=bootstrap,
        group_id="heirs",
        auto_offset_reset="earliest",
        auto_commit_interval_ms=600_000,
        session_timeout_ms=6000,
        heartbeat_interval_ms=300,
    )
    while True:
        for partition, batch in consumer.poll(timeout_ms=200, max_records=5).items():
            for record in batch:
                print(partition.partition, record.offset, flush=True)


def main(bootstrap):
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic("inherited", num_partitions=PARTITIONS, replication_factor=1)])
    producer = KafkaProducer(bootstrap_servers=bootstrap)

    def produce():
        for n in range(RECORDS):
            producer.send("inherited", b"%d" % n, partition=n % PARTITIONS)
        producer.flush()

    produce()
    victim = subprocess.Popen(
        [sys.executable, __file__, bootstrap, "member"], stdout=subprocess.PIPE, text=True
    )
    # It owns everything and is in the middle of it.
    read = [victim.stdout.readline() for _ in range(20)]
    print("the victim read:", len(read))
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    heir = subprocess.Popen(
        [sys.executable, __file__, bootstrap, "member"], stdout=subprocess.PIPE, text=True
    )
    produce()
    producer.close()
    expected = {(p, o) for p in range(PARTITIONS) for o in range(2 * RECORDS // PARTITIONS)}
    # Whoever runs this program bounds its time: a missing record is waited for until then.
    missing = set(expected)
    while missing:
        missing.discard(tuple(map(int, heir.stdout.readline().split())))
    print("nothing was committed, so the heir read all:", len(expected))
    heir.kill()
    heir.wait()


if len(sys.argv) > 2:
    member(sys.argv[1])
else:
    main(sys.argv[1])
