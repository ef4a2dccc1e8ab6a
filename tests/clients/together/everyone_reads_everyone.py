"""Each make writes in every compression, and each reads what all of them wrote."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer, KafkaProducer
from kafka import TopicPartition as Place

bootstrap = sys.argv[1]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
EACH = 20
TOTAL = 3 * len(CODECS) * EACH

admin = AdminClient({"bootstrap.servers": bootstrap})
for created in admin.create_topics([NewTopic("babel", 1, 1)]).values():
    created.result()


def value(make, codec, n):
    return f"{make} {codec} {n} ".encode() + b"a" * 100


for codec in CODECS:
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 20})
    for n in range(EACH):
        producer.produce("babel", value("librdkafka", codec, n))
    producer.flush(20)

    kind = None if codec == "none" else codec
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=kind, linger_ms=20)
    for n in range(EACH):
        producer.send("babel", value("kafka-python", codec, n))
    producer.close()


async def aio_write():
    for codec in CODECS:
        kind = None if codec == "none" else codec
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=kind, linger_ms=20) as producer:
            for n in range(EACH):
                await producer.send("babel", value("aiokafka", codec, n))


asyncio.run(aio_write())
expected = {value(make, codec, n) for make in ("librdkafka", "kafka-python", "aiokafka") for codec in CODECS for n in range(EACH)}


def tell(reader, values):
    print(f"{reader}: {len(values)} records, all of them: {set(values) == expected}")


consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused"})
consumer.assign([TopicPartition("babel", 0, 0)])
values = []
while len(values) < TOTAL:
    values += [message.value() for message in consumer.consume(100, 0.2) if not message.error()]
consumer.close()
tell("librdkafka", values)

consumer = KafkaConsumer(bootstrap_servers=bootstrap)
consumer.assign([Place("babel", 0)])
consumer.seek_to_beginning()
tell("kafka-python", [record.value for _, record in zip(range(TOTAL), consumer)])
consumer.close()


async def aio_read():
    async with AIOKafkaConsumer("babel", bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return [(await consumer.getone()).value for _ in range(TOTAL)]


tell("aiokafka", asyncio.run(aio_read()))
