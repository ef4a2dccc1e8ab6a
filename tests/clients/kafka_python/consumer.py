"""Where a consumer begins, what it knows of its topic, and what a record carries."""
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("read", num_partitions=1, replication_factor=1)])

partition = TopicPartition("read", 0)
producer = KafkaProducer(bootstrap_servers=bootstrap)
for i in range(3):
    producer.send("read", key=b"k%d" % i, value=b"early %d" % i, headers=[("n", b"%d" % i)]).get(20)

# Without a group nothing is committed, and by default such a reader sees only what comes after it.
late = KafkaConsumer("read", bootstrap_servers=bootstrap)
while not late.assignment():
    late.poll(timeout_ms=100)
late.position(partition)
producer.send("read", b"late").get(20)
print("default begins at the end:", next(late).value)
late.close()

early = KafkaConsumer("read", bootstrap_servers=bootstrap, group_id="readers", auto_offset_reset="earliest")
for _, record in zip(range(4), early):
    print(f"{record.topic}:{record.partition}:{record.offset}: key={record.key} value={record.value} headers={record.headers}")
print("partitions:", early.partitions_for_topic("read"))
print("subscription:", early.subscription())
print("assignment:", early.assignment())
print("first offsets:", early.beginning_offsets([partition]))
print("end offsets:", early.end_offsets([partition]))
print("topics:", "read" in early.topics())
early.close()

# One record is seen by every group: each keeps its own place.
again = KafkaConsumer("read", bootstrap_servers=bootstrap, group_id="others", auto_offset_reset="earliest")
print("another group reads:", [record.offset for _, record in zip(range(4), again)])
again.close()
producer.close()
