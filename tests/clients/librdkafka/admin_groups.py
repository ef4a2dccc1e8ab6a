"""Groups as librdkafka's admin client sees them: members, offsets, and their end."""
import sys

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
GROUP = "watched-group"
admin = AdminClient({"bootstrap.servers": bootstrap})
[created] = admin.create_topics([NewTopic("watched", 2, 1)]).values()
created.result(20)
producer = Producer({"bootstrap.servers": bootstrap})
for n in range(4):
    producer.produce("watched", str(n), partition=n % 2)
producer.flush(20)

member = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "client.id": "the-member",
        "group.id": GROUP,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
member.subscribe(["watched"])
read = 0
while read < 4:
    read += len([message for message in member.consume(4, 0.2) if not message.error()])
member.commit(offsets=[TopicPartition("watched", 0, 1)], asynchronous=False)


def only(futures):
    [future] = futures.values()
    return future.result(20)


def describe(when):
    group = only(admin.describe_consumer_groups([GROUP]))
    members = [
        (found.client_id, sorted(p.partition for p in found.assignment.topic_partitions)) for found in group.members
    ]
    print(f"{when}: {group.state.name} {group.partition_assignor!r} {members}")


def committed():
    found = only(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)]))
    return sorted((place.topic, place.partition, place.offset) for place in found.topic_partitions)


def delete(when):
    try:
        only(admin.delete_consumer_groups([GROUP]))
        print(f"{when}: done")
    except KafkaException as error:
        print(f"{when}: {error.args[0].name()}")


def listed():
    return [group.group_id for group in admin.list_consumer_groups().result(20).valid if group.group_id == GROUP]


print("listed:", listed())
describe("with its member")
print("committed:", committed())
delete("delete with its member")
member.close()
describe("once it has left")
moved = ConsumerGroupTopicPartitions(GROUP, [TopicPartition("watched", 1, 2)])
only(admin.alter_consumer_group_offsets([moved]))
print("committed by hand:", committed())
delete("delete")
print("listed:", listed())
delete("delete again")
