"""A consumer that commits as it goes: the next one begins where it left."""
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
partition = TopicPartition("by-itself", 0)
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("by-itself", num_partitions=1, replication_factor=1)])
producer = KafkaProducer(bootstrap_servers=bootstrap)
for i in range(10):
    producer.send("by-itself", b"%d" % i)
producer.flush()


def member(**config):
    return KafkaConsumer(
        "by-itself",
        bootstrap_servers=bootstrap,
        group_id="by-itself",
        enable_auto_commit=True,
        auto_offset_reset="earliest",
        **config,
    )


def poll(consumer, count):
    offsets = []
    while len(offsets) < count:
        for batch in consumer.poll(timeout_ms=500, max_records=count - len(offsets)).values():
            offsets += [record.offset for record in batch]
    return offsets


consumer = member(auto_commit_interval_ms=100)
print("the first reads:", poll(consumer, 4))
deadline = time.monotonic() + 20
while consumer.committed(partition) != 4 and time.monotonic() < deadline:
    # The commit is sent by a poll after the interval; a paused partition brings nothing new.
    consumer.pause(partition)
    consumer.poll(timeout_ms=100)
print("committed while it runs:", consumer.committed(partition))
consumer.close()

consumer = member(auto_commit_interval_ms=600_000)
print("the second reads:", poll(consumer, 3))
print("its interval is long, so still:", consumer.committed(partition))
consumer.close()

consumer = member()
print("but a close commits:", consumer.committed(partition))
print("the third reads the rest:", poll(consumer, 3))
consumer.close(autocommit=False)

consumer = member()
print("a close without a commit gives them back:", poll(consumer, 3))
consumer.close()
producer.close()
