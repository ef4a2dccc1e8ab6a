"""Members of three makes in one group on one topic: each has its part, and every record goes to one of them.

What makes them one group is the assignor that all of them know, `range`, and the bytes of its subscriptions
and assignments, which one make writes and another reads.
"""
import asyncio
import sys
import threading
import time

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor as AioRange
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer
from kafka.coordinator.assignors.range import RangePartitionAssignor

bootstrap = sys.argv[1]
PARTITIONS, RECORDS = 6, 600
admin = AdminClient({"bootstrap.servers": bootstrap})
for created in admin.create_topics([NewTopic("together", PARTITIONS, 1)]).values():
    created.result()

lock, stop = threading.Lock(), threading.Event()
owned, seen = {}, []


def saw(make, partitions, records):
    with lock:
        owned[make] = sorted(partitions)
        seen.extend((make, *record) for record in records)


def kafka_python():
    consumer = KafkaConsumer(
        "together",
        bootstrap_servers=bootstrap,
        group_id="together",
        auto_offset_reset="earliest",
        heartbeat_interval_ms=200,
        partition_assignment_strategy=[RangePartitionAssignor],
    )
    while not stop.is_set():
        polled = consumer.poll(timeout_ms=100)
        records = [(record.partition, record.offset) for batch in polled.values() for record in batch]
        saw("kafka-python", [place.partition for place in consumer.assignment()], records)
    consumer.close()


def librdkafka():
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "together",
            "auto.offset.reset": "earliest",
            "heartbeat.interval.ms": 200,
            "partition.assignment.strategy": "range",
        }
    )
    consumer.subscribe(["together"])
    while not stop.is_set():
        messages = [message for message in consumer.consume(100, 0.1) if not message.error()]
        records = [(message.partition(), message.offset()) for message in messages]
        saw("librdkafka", [place.partition for place in consumer.assignment()], records)
    consumer.close()


def aiokafka():
    async def member():
        async with AIOKafkaConsumer(
            "together",
            bootstrap_servers=bootstrap,
            group_id="together",
            auto_offset_reset="earliest",
            heartbeat_interval_ms=200,
            partition_assignment_strategy=[AioRange],
        ) as consumer:
            while not stop.is_set():
                polled = await consumer.getmany(timeout_ms=100)
                records = [(record.partition, record.offset) for batch in polled.values() for record in batch]
                saw("aiokafka", [place.partition for place in consumer.assignment()], records)

    asyncio.run(member())


def until(what, condition):
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        with lock:
            if condition():
                return
        time.sleep(0.05)
    sys.exit(f"never: {what}; {owned}, {len(seen)} records")


members = [threading.Thread(target=member) for member in (kafka_python, librdkafka, aiokafka)]
for member in members:
    member.start()
until(
    "each has two partitions, no two the same",
    lambda: sorted(map(len, owned.values())) == [2, 2, 2] and sorted(sum(owned.values(), [])) == list(range(PARTITIONS)),
)
for make in sorted(owned):
    print(f"{make}: {len(owned[make])} partitions")

producer = Producer({"bootstrap.servers": bootstrap})
for n in range(RECORDS):
    producer.produce("together", str(n), partition=n % PARTITIONS)
producer.flush(20)
until("every record is read", lambda: len(seen) >= RECORDS)
# A moment for what should not come.
time.sleep(0.5)
stop.set()
for member in members:
    member.join()
places = [place for _, *place in seen]
print("records:", len(places), "different ones:", len(set(map(tuple, places))))
for make in sorted(owned):
    print(f"{make}: {sum(who == make for who, *_ in seen)} records")
