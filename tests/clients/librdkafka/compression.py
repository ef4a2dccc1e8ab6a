"""Every compression there and back with librdkafka, through delivery reports and message headers."""
import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})
for created in admin.create_topics([NewTopic("packed", num_partitions=1, replication_factor=1)]).values():
    created.result()

codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
for codec in codecs:
    reports = []
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 50})
    for n in range(50):
        producer.produce(
            "packed",
            key=codec,
            value=f"{codec} {n} " + "a" * 200,
            headers=[("n", str(n).encode()), ("nothing", None)],
            on_delivery=lambda error, message: reports.append(error or message.offset()),
        )
    left = producer.flush(20)
    print(f"{codec}: offsets {reports[0]} to {reports[-1]}, {left} left")

consumer = Consumer(
    {"bootstrap.servers": bootstrap, "group.id": "unpackers", "auto.offset.reset": "earliest"}
)
consumer.subscribe(["packed"])
records = []
while len(records) < 250:
    message = consumer.poll(0.2)
    if message is None:
        continue
    if message.error():
        sys.exit(str(message.error()))
    records.append(message)
consumer.close()
print("offsets in order:", [record.offset() for record in records] == list(range(250)))
for codec in codecs:
    mine = [record for record in records if record.key() == codec.encode()]
    whole = all(
        record.value() == f"{codec} {n} ".encode() + b"a" * 200
        and record.headers() == [("n", str(n).encode()), ("nothing", None)]
        for n, record in enumerate(mine)
    )
    print(f"{codec}: {len(mine)} records, whole: {whole}")
