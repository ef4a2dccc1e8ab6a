"""A reader that chooses its partitions and offsets by itself, without a group's rebalances."""
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import IllegalStateError

bootstrap = sys.argv[1]
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("chosen", num_partitions=2, replication_factor=1)])
producer = KafkaProducer(bootstrap_servers=bootstrap)
for i in range(20):
    producer.send("chosen", b"%d" % (i // 2), partition=i % 2, timestamp_ms=1_700_000_000_000 + i)
producer.close()

# The topic is not given here: a consumer either subscribes or assigns, never both.
consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id="choosers", enable_auto_commit=False)
first, second = TopicPartition("chosen", 0), TopicPartition("chosen", 1)
consumer.assign([first])


def take(count):
    records = []
    while len(records) < count:
        for batch in consumer.poll(timeout_ms=500, max_records=count - len(records)).values():
            records += [(record.partition, record.offset, record.value) for record in batch]
    return records


consumer.seek_to_beginning(first)
print("from the beginning:", take(2))
consumer.seek(first, 5)
print("from offset 5:", take(2))
print("position:", consumer.position(first))
consumer.seek_to_end(first)
print("the end:", consumer.position(first))
consumer.seek(first, 9)
print("the last:", take(1))

times = consumer.offsets_for_times({first: 1_700_000_000_007, second: 1_700_000_000_007})
print("by time:", {p.partition: (found.offset, found.timestamp) for p, found in sorted(times.items())})
print("past the last time:", consumer.offsets_for_times({first: 1_800_000_000_000}))

consumer.assign([first, second])
consumer.seek(first, 8)
consumer.seek(second, 9)
print("both partitions:", sorted(take(3)))
consumer.close()

# A new consumer has read nothing ahead: kafka-python 3.0.12 puts aside what it has of a partition when
# that is paused, and after `resume` may neither give it out nor fetch again.
consumer = KafkaConsumer(bootstrap_servers=bootstrap)
consumer.assign([first, second])
consumer.pause(first)
consumer.seek(first, 0)
consumer.seek(second, 7)
print("one of them paused:", take(3), consumer.paused())
consumer.resume(first)
print("and resumed:", take(1))

try:
    consumer.subscribe(["chosen"])
except IllegalStateError:
    print("subscribing as well: IllegalStateError")

# An offset that is not there: back to where `auto_offset_reset` says, here the end.
consumer.assign([second])
consumer.seek(second, 1000)
consumer.poll(timeout_ms=500)
print("out of range ends at:", consumer.position(second))
consumer.close()
