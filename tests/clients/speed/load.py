"""Produces records through librdkafka with acks=all, reads them back, and prints how fast.

usage: load.py BOOTSTRAP TOPIC RECORDS BYTES

Prints one line of JSON: records produced per second, from the first send to the last acknowledgement, and records
consumed per second. The records go to several topics one after the other, so many that no broker has let go of any
record when it is read: librdkafka's mock cluster keeps 5 MiB of a partition.
"""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

# What fits into one partition with its headers: the partitioner does not fill partitions evenly.
TOPIC_BYTES = 4 * 1024 * 1024


def produce(bootstrap, topics, records, value):
    failed = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "log_level": 0,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    # The topics are made and found before the clock starts.
    for topic in topics:
        producer.produce(topic, value)
    assert producer.flush(30) == 0, "the first records were not acknowledged"
    started = time.perf_counter()
    for number in range(records):
        topic = topics[number * len(topics) // records]
        producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
        if number % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    seconds = time.perf_counter() - started
    assert left == 0 and not failed, f"{left} records left, {failed[:3]}"
    return records / seconds


def consume(bootstrap, topics, records):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "load",
            "log_level": 0,
            # A full queue makes the client pause for a second, whichever broker it is.
            "fetch.queue.backoff.ms": 1,
        }
    )
    starts = []
    for topic in topics:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        starts += [TopicPartition(topic, partition, 0) for partition in partitions]
    started, counted = time.perf_counter(), 0
    consumer.assign(starts)
    while counted < records:
        batch = consumer.consume(min(records - counted, 10_000), timeout=30)
        assert batch, f"{records - counted} records did not come"
        assert not any(record.error() for record in batch)
        counted += len(batch)
    seconds = time.perf_counter() - started
    consumer.close()
    return counted / seconds


bootstrap, topic, records, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
topics = [f"{topic}-{number}" for number in range(1 + records * size // TOPIC_BYTES)]
produced = produce(bootstrap, topics, records, b"x" * size)
consumed = consume(bootstrap, topics, records + len(topics))
print(json.dumps({"produced": produced, "consumed": consumed}))
