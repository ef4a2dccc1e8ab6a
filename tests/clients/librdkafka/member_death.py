"""A librdkafka member is killed with what it had not committed: the other takes over, no record is missing."""
import signal
import subprocess
import sys

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS, RECORDS = 4, 200


def member(bootstrap):
    """Tells each record on standard output after it has read it; never commits."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "heirs",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 300,
        }
    )
    consumer.subscribe(["inherited"])
    while True:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        print(message.partition(), message.offset(), flush=True)


def main(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic("inherited", PARTITIONS, 1)]).values():
        created.result()
    producer = Producer({"bootstrap.servers": bootstrap})

    def produce():
        for n in range(RECORDS):
            producer.produce("inherited", str(n), partition=n % PARTITIONS)
        producer.flush(20)

    def start():
        return subprocess.Popen(
            [sys.executable, __file__, bootstrap, "member"], stdout=subprocess.PIPE, text=True
        )

    produce()
    victim = start()
    print("the victim read:", len([victim.stdout.readline() for _ in range(20)]))
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    heir = start()
    produce()
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
