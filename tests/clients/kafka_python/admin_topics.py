"""Topics from their making to their end: partitions added, records deleted, settings changed."""
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, NewTopic
from kafka.errors import InvalidPartitionsError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

bootstrap = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=bootstrap)


def fails(what, error, action):
    try:
        action()
    except error as found:
        print(f"{what}: {type(found).__name__}")


def described():
    [topic] = admin.describe_topics(["ruled"])
    return sorted((p["partition_index"], p["leader_id"], p["replica_nodes"]) for p in topic["partitions"])


def settings(*names):
    found = admin.describe_configs([ConfigResource("topic", "ruled", dict.fromkeys(names))], config_filter="all")
    return {name: found["topic"]["ruled"][name]["value"] for name in names}


admin.create_topics([NewTopic("ruled", 2, 1, topic_configs={"retention.ms": "100000"})])
print("created:", described())
print("listed:", "ruled" in admin.list_topics())
fails("created again", TopicAlreadyExistsError, lambda: admin.create_topics([NewTopic("ruled", 2, 1)]))

admin.create_partitions({"ruled": 3})
print("with one more partition:", described())
fails("fewer partitions", InvalidPartitionsError, lambda: admin.create_partitions({"ruled": 1}))

print("set at the beginning:", settings("retention.ms"))
admin.alter_configs([ConfigResource("topic", "ruled", {"max.message.bytes": "2000"})])
print("altered:", settings("retention.ms", "max.message.bytes"))

partition = TopicPartition("ruled", 2)
producer = KafkaProducer(bootstrap_servers=bootstrap)
for n in range(10):
    producer.send("ruled", b"%d" % n, partition=2).get(20)
admin.delete_records({partition: 6})
consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
consumer.assign([partition])
print("what is left of the records:", [record.offset for _, record in zip(range(4), consumer)])
print("first offset:", consumer.beginning_offsets([partition])[partition])
consumer.close()

admin.delete_topics(["ruled"])
deadline = time.monotonic() + 20
while "ruled" in admin.list_topics() and time.monotonic() < deadline:
    time.sleep(0.05)
print("listed:", "ruled" in admin.list_topics())
fails("deleted again", UnknownTopicOrPartitionError, lambda: admin.delete_topics(["ruled"]))
producer.close()
admin.close()
