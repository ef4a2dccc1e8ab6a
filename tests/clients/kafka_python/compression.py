"""Every compression there and back, and a reader that meets them mixed."""
import json
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("packed", num_partitions=1, replication_factor=1)])

codecs = [None, "gzip", "snappy", "lz4", "zstd"]
for codec in codecs:
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        value_serializer=lambda value: json.dumps(value).encode(),
        compression_type=codec,
        # Records wait for each other, so that a batch holds many.
        linger_ms=50,
    )
    sent = [
        producer.send("packed", key=str(codec).encode(), value={"name": "开心麻花", "n": n, "pad": "a" * 200})
        for n in range(50)
    ]
    offsets = [future.get(timeout=20).offset for future in sent]
    print(f"{codec}: offsets {offsets[0]} to {offsets[-1]}")
    producer.close()

consumer = KafkaConsumer(
    "packed", bootstrap_servers=bootstrap, auto_offset_reset="earliest", value_deserializer=json.loads
)
records = [record for _, record in zip(range(250), consumer)]
print("offsets in order:", [record.offset for record in records] == list(range(250)))
for codec in codecs:
    values = [record.value for record in records if record.key == str(codec).encode()]
    whole = values == [{"name": "开心麻花", "n": n, "pad": "a" * 200} for n in range(50)]
    print(f"{codec}: {len(values)} records, whole: {whole}")
consumer.close()
