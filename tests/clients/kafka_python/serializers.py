"""Keys and values as text, JSON and msgpack."""
import json
import sys

import msgpack
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
person = {"name": "开心麻花", "age": 18}
kinds = {
    # name: (serializer, deserializer, value)
    "text": (str.encode, bytes.decode, "你好"),
    "json": (lambda value: json.dumps(value).encode(), json.loads, person),
    # Text comes back as text: a reader needs no second decoding.
    "msgpack": (msgpack.packb, msgpack.unpackb, person),
}
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1) for name in kinds])

for name, (serializer, deserializer, value) in kinds.items():
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, key_serializer=str.encode, value_serializer=serializer
    )
    told = producer.send(name, key="key", value=value).get(timeout=20)
    producer.close()
    consumer = KafkaConsumer(
        name,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        key_deserializer=bytes.decode,
        value_deserializer=deserializer,
    )
    record = next(consumer)
    print(f"{name}: {told.serialized_value_size} bytes, {record.key!r} {record.value!r}")
    consumer.close()
