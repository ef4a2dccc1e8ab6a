"""A consumer that commits by itself: what it has not committed comes again."""
import sys
import threading

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
partition = TopicPartition("by-hand", 0)
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("by-hand", num_partitions=1, replication_factor=1)])
producer = KafkaProducer(bootstrap_servers=bootstrap)
for i in range(10):
    producer.send("by-hand", b"%d" % i)
producer.close()


def member():
    return KafkaConsumer(
        "by-hand",
        bootstrap_servers=bootstrap,
        group_id="by-hand",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )


def take(consumer, count):
    return [record.offset for _, record in zip(range(count), consumer)]


consumer = member()
print("nothing is committed at first:", consumer.committed(partition))
print("reads without a commit:", take(consumer, 4))
consumer.close()

consumer = member()
print("reads them again:", take(consumer, 4))
# Of one partition, with a word to whoever reads it; a commit without arguments commits what was read.
consumer.commit({partition: OffsetAndMetadata(4, "by hand", -1)})
print("committed:", consumer.committed(partition))
consumer.close()

consumer = member()
print("goes on from there:", take(consumer, 2))
done = threading.Event()
said = []


def on_commit(offsets, answer):
    said.append((offsets[partition].offset, isinstance(answer, Exception)))
    done.set()


consumer.commit_async({partition: OffsetAndMetadata(6, "", -1)}, callback=on_commit)
while not done.is_set():
    consumer.poll(timeout_ms=50, max_records=1)
print("the callback hears:", said)
consumer.close()

consumer = member()
batch = []
while not batch:
    batch = consumer.poll(timeout_ms=500, max_records=2).get(partition, [])
print("a poll of two:", [record.offset for record in batch])
consumer.commit()
print("a commit of what was polled:", consumer.committed(partition))
consumer.close()
