"""Several members in one group: each has its part, every record goes to one of them."""
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
PARTITIONS, RECORDS, MEMBERS = 3, 300, 4
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("shared", num_partitions=PARTITIONS, replication_factor=1)])

lock = threading.Lock()
seen, parts = [], {}
stop = threading.Event()


def member(name):
    consumer = KafkaConsumer(
        "shared",
        bootstrap_servers=bootstrap,
        client_id=name,
        group_id="workers",
        auto_offset_reset="earliest",
        heartbeat_interval_ms=200,
    )
    while not stop.is_set():
        polled = consumer.poll(timeout_ms=100)
        with lock:
            parts[name] = sorted(partition.partition for partition in consumer.assignment())
            seen.extend((p.partition, record.offset) for p, batch in polled.items() for record in batch)
    consumer.close()


def until(what, condition):
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        with lock:
            if condition():
                return
        time.sleep(0.05)
    sys.exit(f"never: {what}; {parts}, {len(seen)} records")


threads = [threading.Thread(target=member, args=(f"member-{n}",)) for n in range(MEMBERS)]
for thread in threads:
    thread.start()
# More members than partitions: one has nothing to do.
until(
    "every partition has one owner",
    lambda: len(parts) == MEMBERS and sorted(sum(parts.values(), [])) == list(range(PARTITIONS)),
)
print("partitions a member:", sorted(len(owned) for owned in parts.values()))

producer = KafkaProducer(bootstrap_servers=bootstrap)
for n in range(RECORDS):
    producer.send("shared", b"%d" % n, partition=n % PARTITIONS)
producer.close()
until("every record is read", lambda: len(seen) >= RECORDS)
stop.set()
for thread in threads:
    thread.join()
print("records:", len(seen), "different ones:", len(set(seen)))
