"""Produces records through librdkafka with acks=all, reads them back, and prints how fast.

usage: load.py BOOTSTRAP TOPIC RECORDS BYTES

Prints one line of JSON: records produced per second, from the first to the last acknowledgement, and records
consumed per second, after the first batch that came.
"""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition


def produce(bootstrap, topic, records, value):
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
    # The topic is made and found before the clock starts.
    producer.produce(topic, value)
    assert producer.flush(30) == 0, "the first record was not acknowledged"
    started = time.perf_counter()
    for number in range(records):
        producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
        if number % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    seconds = time.perf_counter() - started
    assert left == 0 and not failed, f"{left} records left, {failed[:3]}"
    return records / seconds


def consume(bootstrap, topic):
    """Reads what the broker still has: librdkafka's mock keeps 5 MiB of a partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "load", "log_level": 0})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    starts, left = [], 0
    for partition in partitions:
        start, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        starts.append(TopicPartition(topic, partition, start))
        left += end - start
    consumer.assign(starts)
    started, counted = None, 0
    while left > 0:
        batch = consumer.consume(10_000, timeout=30)
        assert batch, f"{left} records did not come"
        if started is None:
            started = time.perf_counter()
        else:
            counted += len(batch)
        left -= len(batch)
    seconds = time.perf_counter() - started
    consumer.close()
    return counted / seconds


bootstrap, topic, records, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
produced = produce(bootstrap, topic, records, b"x" * size)
print(json.dumps({"produced": produced, "consumed": consume(bootstrap, topic)}))
